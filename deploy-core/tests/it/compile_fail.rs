//! What the types of the builder promise: these programs do not compile, and the compiler says why.

#[test]
fn what_must_not_compile_does_not() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
