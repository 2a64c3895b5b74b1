//! A pipeline that is written down and read back is the same pipeline.

use deploy_agents::documents::{Loaded, PipelineDocument, Registry};
use deploy_core::release::ReleaseKind;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};

use crate::random::document;
use crate::world::{assert_same, plan, registry};

/// Puts the steps of every phase into another order, which changes nothing of what waits for what.
fn shuffled() -> impl Strategy<Value = PipelineDocument> {
    (document(), any::<u64>()).prop_map(|(mut document, seed)| {
        for phase in &mut document.phases {
            phase.steps.sort_by_key(|step| {
                step.name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            });
        }
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_document_gives_a_pipeline_that_gives_the_document(document in document()) {
        let registry = registry();
        let pipeline = document.bind(&registry).expect("a sound document");
        let written = PipelineDocument::of(&pipeline).declaring(&document);
        prop_assert_eq!(&written, &document);
        assert_same(&pipeline, &written.bind(&registry).expect("it was written by us"));
    }

    #[test]
    fn any_pipeline_gives_a_document_that_binds_to_its_own_blocks(document in shuffled()) {
        let pipeline = document.bind(&registry()).expect("a sound document");
        let again = PipelineDocument::of(&pipeline).bind(&Registry::of(&pipeline)).expect("its own blocks");
        prop_assert_eq!(plan(&pipeline, ReleaseKind::Hotfix), plan(&again, ReleaseKind::Hotfix));
        assert_same(&pipeline, &again);
        prop_assert_eq!(PipelineDocument::of(&again), PipelineDocument::of(&pipeline));
    }

    #[test]
    fn a_document_is_the_same_after_it_was_written_and_read(document in document()) {
        let json = document.to_json().expect("JSON");
        prop_assert_eq!(&Loaded::json(&json).expect("our own JSON").document, &document);
        prop_assert_eq!(&Loaded::yaml(&json).expect("JSON is YAML").document, &document);
        let yaml = document.to_yaml().expect("YAML");
        prop_assert_eq!(&Loaded::yaml(&yaml).expect("our own YAML").document, &document, "{}", yaml);
    }
}
