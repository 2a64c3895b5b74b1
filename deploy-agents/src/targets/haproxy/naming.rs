//! Servers are named after what they run, so that HAProxy itself tells who is who.

use std::net::SocketAddr;

use deploy_core::name::RevisionName;

use super::server::{Server, ServerName, ServerNameError};

/// The server for an instance of a revision: `v2:127.0.0.1:41234`. Characters that HAProxy does not allow in names, `@` and `+`,
/// are written `_a` and `_p`; the `_` itself is doubled.
pub(super) fn server_of(
    backend: &str,
    revision: &RevisionName,
    address: SocketAddr,
) -> Result<ServerName, ServerNameError> {
    let written = revision.as_str().replace('_', "__").replace('@', "_a").replace('+', "_p");
    ServerName::new(backend, format!("{written}:{}:{}", address.ip(), address.port()))
}

/// What a server runs, if it is named after an instance.
pub(super) fn revision_of(server: &Server) -> Option<(RevisionName, SocketAddr)> {
    let address = server.address?;
    let written = server.name.server().strip_suffix(&format!(":{}:{}", address.ip(), address.port()))?;
    let mut revision = String::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        revision.push(match c {
            '_' => match chars.next()? {
                '_' => '_',
                'a' => '@',
                'p' => '+',
                _ => return None,
            },
            other => other,
        });
    }
    Some((RevisionName::new(revision).ok()?, address))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use deploy_core::name::RevisionName;
    use proptest::prelude::*;

    use super::super::order::Readiness;
    use super::super::server::Server;
    use super::{revision_of, server_of};

    proptest! {
        #[test]
        fn every_revision_comes_back_from_its_servers_name(
            text in "[a-zA-Z0-9][a-zA-Z0-9._+:@-]{0,60}",
            port in 1_u16..,
            v6 in any::<bool>(),
        ) {
            let revision = RevisionName::new(text).expect("a name");
            let ip: std::net::IpAddr = if v6 { "::1".parse().expect("an address") } else { [127, 0, 0, 1].into() };
            let address = SocketAddr::new(ip, port);
            let name = server_of("app", &revision, address).expect("always allowed");
            let server = Server {
                name, address: Some(address), weight: 0, readiness: Readiness::Ready, is_up: true, check_passed: None,
            };
            prop_assert_eq!(revision_of(&server), Some((revision, address)));
        }
    }
}
