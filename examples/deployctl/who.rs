//! Who acts.

use clap::Args;
use deploy_core::operator::Principal;

use crate::Failure;
use crate::trouble::Trouble;

/// Who vouches for a name: nobody but the account that may write the journal file. A host with a sign-in puts the issuer of
/// that sign-in here, and takes name and roles from it instead of from the command line.
const ISSUER: &str = "this-machine";

/// Who acts. Stands in every record that comes of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Who {
    /// Who you are. Default: `DEPLOYCTL_AS`, else the name of your account.
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,

    /// A role that you have; may be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
}

impl Who {
    /// The person, as it is recorded.
    pub(crate) fn principal(&self) -> Result<Principal, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let name = self.name.clone().or_else(|| variable("DEPLOYCTL_AS"));
        let name = name.or_else(|| variable("USER")).or_else(|| variable("LOGNAME"));
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Trouble::usage("it is not known who you are; say it with --as NAME"))?;
        if name.chars().any(char::is_control) {
            return Err(Trouble::usage(format!("{name:?} is no name: it holds control characters")));
        }
        Ok(self.roles.iter().fold(Principal::new(name, ISSUER), |who, role| who.role(role)))
    }
}
