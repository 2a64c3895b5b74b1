//! What is written as Markdown is read back.

use deploy_agents::documents::Loaded;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use crate::random::document;
use crate::world::registry;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_document_is_the_same_after_it_was_a_page(document in document()) {
        let page = document.to_markdown();
        let again = Loaded::markdown(&page, &registry());
        prop_assert!(again.is_ok(), "{}\n{page}", again.unwrap_err());
        prop_assert_eq!(&again.expect("it was read").document, &document, "{}", page);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(#{1,3} |- \\[ \\] |/task |Phase 1: |`|\\||> |builder|tests|\n|[a-z ]{0,6}){0,30}") {
        let _ = Loaded::markdown(&text, &registry());
    }
}
