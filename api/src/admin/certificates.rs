//! Certificates of the link over QUIC, made in a directory from which an operator takes each side's part to its host.

use std::path::PathBuf;

use devpocket_shared::certificates::{CA_FILE, Made, Role, make_all};
use serde_json::json;

use super::{AdminError, Outcome};

/// `make-link-certificates`.
#[derive(clap::Args, Clone, Debug)]
pub struct MakeLinkCertificates {
    /// Where they are made, and renewed by the same command; it is made too, for its owner alone. Its `ca.key` can make
    /// apis and ptyds: it leaves this directory for neither.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn make(args: &MakeLinkCertificates) -> Result<Outcome, AdminError> {
    let issued: Vec<_> = make_all(&args.directory)?.into_iter().map(Made::certificate_file).collect();
    let directory = args.directory.display();
    let news = if issued.is_empty() {
        format!("{directory}: all certificates are good for 90 days or more; none was made")
    } else {
        format!(
            "{directory}: made {} (the CA is good for twenty years, the others for two)",
            issued.join(", ")
        )
    };
    let files = |role: Role| [CA_FILE, role.certificate_file(), role.key_file()];
    let (apis, ptyd) = (files(Role::Api), files(Role::Ptyd));
    let text = format!(
        "{news}\nfor LINK_CERT_DIR of every api: {}\nfor PTYD_LINK_CERT_DIR of every ptyd: {}",
        apis.join(" "),
        ptyd.join(" ")
    );
    Ok(Outcome::done(text, json!({"directory": args.directory, "issued": issued, "api": apis, "ptyd": ptyd})))
}
