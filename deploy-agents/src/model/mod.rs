//! Agents backed by a language model (feature `model`): a model reads reports over, and decides nothing.
//!
//! ```text
//!  inner agent ── report ──► Extracts ── ids, facts, verdicts ──► ModelClient
//!       │                       │                                     │ a draft: claims that cite, concerns
//!       │                       └───────► ClaimVerifier ◄─────────────┘
//!       │                        reads the bytes again      │ what is so, what is not, what is left out
//!       └── report, as it is ─────────────────────────► + Review: one more piece of evidence, one more check
//! ```
//!
//! What is held to, each with a test that names it:
//!
//! 1. The model gets extracts with ids; what they say is data. It has no network, no shell, no secrets.
//! 2. It answers with claims that cite. Figures are read again where they stand, quotations word for word.
//! 3. Verdicts are computed by checks. A review can lower what a gate decides, and never raise it.
//! 4. Tools are on a list, kept by the runtime; each call leaves a receipt that the runtime makes.
//! 5. Gates decide before effects begin.
//! 6. A step that is resumed is looked up first, and hears the same answer again.
//! 7. It ends by budgets: turns, tokens, time, money. Used up is inconclusive.
//! 8. People approve above a risk, bound to the plan, for a time, and no author does.
//! 9. Requests and answers are recorded; a replay gives the same report, byte for byte.
//! 10. Without a model the report is all there.

mod agent;
mod budget;
mod cassette;
mod client;
mod draft;
mod extract;
mod http;
mod review;
mod tool;
mod verify;

pub use self::agent::ModelAgent;
pub use self::budget::{Budget, Spent};
pub use self::cassette::{Cassette, Recorder, Replay, Take};
pub use self::client::{ModelAnswer, ModelClient, ModelError, ModelMessage, ModelRequest, ToolCall, ToolSpec};
pub use self::draft::{ClaimKind, Draft, DraftClaim};
pub use self::extract::{Extracts, Fact};
pub use self::http::{Dialect, HttpModel};
pub use self::review::{Review, ReviewEnd};
pub use self::tool::{ModelTool, ToolReceipt};
pub use self::verify::{ClaimVerifier, RejectedClaim, Rejection, VerifiedDraft};
