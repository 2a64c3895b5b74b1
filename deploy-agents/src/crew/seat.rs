//! The types of the roles.

/// Makes the type of a role: an agent for each of its seats.
macro_rules! role {
    (
        $(#[$doc:meta])*
        $name:ident is $role:ident { $( $(#[$seat_doc:meta])* $make:ident: $phase:literal ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(crate::crew::Member);

        impl $name {
            $(
                $(#[$seat_doc])*
                #[must_use]
                pub fn $make(crew: &crate::crew::Crew) -> Self {
                    Self(crate::crew::Member::new(duty($phase).expect("a seat of this role"), crew))
                }
            )+

            /// The engine behind it, with its duty.
            #[must_use]
            pub fn member(&self) -> &crate::crew::Member {
                &self.0
            }
        }

        #[async_trait::async_trait]
        impl deploy_core::agent::Agent for $name {
            fn card(&self) -> deploy_core::agent::AgentCard {
                self.0.card()
            }
            async fn perform(
                &self,
                task: &deploy_core::agent::Task,
                cx: &deploy_core::agent::StepContext,
            ) -> Result<deploy_core::agent::Performed, deploy_core::agent::AgentError> {
                self.0.perform(task, cx).await
            }
        }

        /// What it does in a phase, where it has a seat there.
        pub(in crate::crew) fn duty(phase: u8) -> Option<crate::crew::Duty> {
            duties(crate::crew::Role::$role.in_phase(phase))
        }
    };
}

pub(super) use role;
