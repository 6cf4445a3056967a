//! Why there was no certificate, in words that lead to the cause.

use std::fmt;

use instant_acme::Error;

use super::{AcmeChallenge, AcmeDirectory};
use crate::{BoxError, error::chain};

/// Why an order ended without a certificate. Its text says what was wrong and
/// what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeProblem {
    cause: AcmeCause,
    /// The domain it is about, if it is about one.
    domain: Option<String>,
    /// What the authority or the system said.
    detail: String,
}

/// The kinds of [`AcmeProblem`], by what has to be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcmeCause {
    /// The authority does not answer, or not over https that we trust.
    DirectoryUnreachable,
    /// The domain is not in the DNS.
    Dns,
    /// The authority cannot connect to the domain's port.
    Connection,
    /// Something else than this server answers there.
    WrongServer,
    /// The domain's CAA record is for other authorities.
    Caa,
    /// Too many orders; the authority says when to come back.
    RateLimited,
    /// The authority does not certify this name.
    Rejected,
    /// The account: unknown, closed, or not tied to a customer.
    Account,
    /// Several of its one-time numbers in a row were refused (RFC 8555 section
    /// 6.5), which is the authority's affair and soon over.
    Nonce,
    /// The authority has trouble of its own.
    Authority,
    /// It took too long.
    TimedOut,
    /// Account or certificate could not be written.
    Storage,
    /// Anything else.
    Other,
}

impl AcmeProblem {
    /// What kind it is.
    pub fn cause(&self) -> AcmeCause {
        self.cause
    }

    /// The domain it is about, if it is about one.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    pub(crate) fn new(cause: AcmeCause, detail: impl Into<String>) -> Self {
        Self { cause, domain: None, detail: detail.into() }
    }

    pub(super) fn internal(error: impl Into<BoxError>) -> Self {
        Self::new(AcmeCause::Other, chain(&*error.into()))
    }

    pub(super) fn storage(error: &super::AcmeError) -> Self {
        Self::new(AcmeCause::Storage, chain(error))
    }

    pub(super) fn unreachable(directory: &AcmeDirectory, error: &BoxError) -> Self {
        Self::new(AcmeCause::DirectoryUnreachable, format!("{directory}: {}", chain(&**error)))
    }

    /// What the library reports while it talks to `directory`.
    pub(super) fn from_error(error: Error, directory: &AcmeDirectory) -> Self {
        match error {
            Error::Api(problem) => Self::from_answer(&problem),
            Error::Timeout(_) => Self::new(AcmeCause::TimedOut, "the authority did not decide"),
            Error::Other(source) => Self::unreachable(directory, &source),
            other => Self::new(AcmeCause::Authority, format!("{directory}: {}", chain(&other))),
        }
    }

    /// What the authority answered (RFC 8555 section 6.7).
    pub(super) fn from_answer(problem: &instant_acme::Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let cause = match kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind) {
            "dns" => AcmeCause::Dns,
            "connection" => AcmeCause::Connection,
            "unauthorized" | "incorrectResponse" | "tls" => AcmeCause::WrongServer,
            "caa" => AcmeCause::Caa,
            "rateLimited" => AcmeCause::RateLimited,
            "rejectedIdentifier" | "unsupportedIdentifier" => AcmeCause::Rejected,
            "accountDoesNotExist"
            | "externalAccountRequired"
            | "userActionRequired"
            | "invalidContact"
            | "unsupportedContact" => AcmeCause::Account,
            "badNonce" => AcmeCause::Nonce,
            "serverInternal" => AcmeCause::Authority,
            _ => AcmeCause::Other,
        };
        let mut detail = problem.detail.clone().unwrap_or_else(|| kind.to_owned());
        let mut domain = None;
        for sub in &problem.subproblems {
            if let Some(instant_acme::Identifier::Dns(name)) = &sub.identifier {
                domain.get_or_insert_with(|| name.clone());
            }
            if let Some(more) = &sub.detail {
                detail.push_str("; ");
                detail.push_str(more);
            }
        }
        Self { cause, domain, detail: bounded(&detail) }
    }

    pub(super) fn about(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// What to do about it, given how the authority asks.
    pub fn advice(&self, challenge: AcmeChallenge) -> String {
        let port = challenge.port();
        match self.cause {
            AcmeCause::DirectoryUnreachable => {
                "check that this machine reaches the authority over https, and for an authority of \
                 your own, that its certificate file is configured"
                    .to_owned()
            }
            AcmeCause::Dns => "make an A or AAAA record that leads to this machine".to_owned(),
            AcmeCause::Connection => format!(
                "open port {port} to the internet: firewall, port forwarding, and the DNS record \
                 has to lead to this machine (IPv6, too, if there is an AAAA record)"
            ),
            AcmeCause::WrongServer => format!(
                "port {port} of that name has to lead to this server; another one, or a proxy in \
                 front of it, answered"
            ),
            AcmeCause::Caa => {
                "the domain's CAA record permits other authorities only; add this one, or use \
                 another"
                    .to_owned()
            }
            AcmeCause::RateLimited => {
                "wait; try things out with the directory letsencrypt-staging, whose limits are wide"
                    .to_owned()
            }
            AcmeCause::Rejected => {
                "use a public DNS name; internal names need an authority of your own".to_owned()
            }
            AcmeCause::Account => {
                "correct the contact address or the external account; see the authority's pages"
                    .to_owned()
            }
            AcmeCause::Nonce | AcmeCause::Authority | AcmeCause::TimedOut => {
                "it is tried again; see the authority's status page if it stays".to_owned()
            }
            AcmeCause::Storage => {
                "make the directory writable, and see that there is room".to_owned()
            }
            AcmeCause::Other => "it is tried again".to_owned(),
        }
    }
}

impl fmt::Display for AcmeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(domain) = &self.domain {
            write!(f, "{domain}: ")?;
        }
        let what = match self.cause {
            AcmeCause::DirectoryUnreachable => "the authority cannot be reached",
            AcmeCause::Dns => "the name is not in the DNS",
            AcmeCause::Connection => "the authority cannot connect",
            AcmeCause::WrongServer => "the authority met another server",
            AcmeCause::Caa => "the domain's CAA record forbids it",
            AcmeCause::RateLimited => "too many orders",
            AcmeCause::Rejected => "the authority does not certify this name",
            AcmeCause::Account => "the authority does not accept the account",
            AcmeCause::Nonce => "the authority refused its own one-time numbers",
            AcmeCause::Authority => "the authority failed",
            AcmeCause::TimedOut => "it took too long",
            AcmeCause::Storage => "the result cannot be kept",
            AcmeCause::Other => "the order failed",
        };
        write!(f, "{what}: {}", self.detail)
    }
}

impl std::error::Error for AcmeProblem {}

/// Cut to what fits into a log line; it may be a page of HTML.
fn bounded(text: &str) -> String {
    const LONGEST: usize = 500;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(kind: &str, detail: &str) -> AcmeProblem {
        let json =
            format!(r#"{{"type": "urn:ietf:params:acme:error:{kind}", "detail": "{detail}"}}"#);
        AcmeProblem::from_answer(&serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn what_an_authority_answers_is_sorted_by_what_to_do() {
        for (kind, cause, advice) in [
            ("dns", AcmeCause::Dns, "A or AAAA record"),
            ("connection", AcmeCause::Connection, "open port 80"),
            ("unauthorized", AcmeCause::WrongServer, "port 80 of that name"),
            ("caa", AcmeCause::Caa, "CAA record"),
            ("rateLimited", AcmeCause::RateLimited, "wait"),
            ("rejectedIdentifier", AcmeCause::Rejected, "public DNS name"),
            ("externalAccountRequired", AcmeCause::Account, "external account"),
            ("badNonce", AcmeCause::Nonce, "tried again"),
            ("serverInternal", AcmeCause::Authority, "status page"),
            ("newInTheNextStandard", AcmeCause::Other, "tried again"),
        ] {
            let problem = answered(kind, "words");
            assert_eq!(problem.cause(), cause, "{kind}");
            assert!(problem.advice(AcmeChallenge::Http01).contains(advice), "{kind}: {problem}");
            assert!(problem.to_string().ends_with(": words"), "{problem}");
        }
    }

    #[test]
    fn the_domain_and_the_port_are_named() {
        let problem = answered("connection", "Connection refused").about("hub.example.org");
        assert_eq!(
            problem.to_string(),
            "hub.example.org: the authority cannot connect: Connection refused"
        );
        assert!(problem.advice(AcmeChallenge::TlsAlpn01).starts_with("open port 443 "));
    }

    #[test]
    fn subproblems_tell_which_domain_it_is() {
        let json = r#"{"type": "urn:ietf:params:acme:error:compound", "detail": "two", "subproblems":
            [{"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden",
              "identifier": {"type": "dns", "value": "a.example"}}]}"#;
        let problem = AcmeProblem::from_answer(&serde_json::from_str(json).unwrap());
        assert_eq!(problem.domain(), Some("a.example"));
        assert!(problem.to_string().ends_with("two; forbidden"), "{problem}");
    }

    #[test]
    fn a_page_of_html_does_not_fill_the_log() {
        let problem = answered("unauthorized", &"ä".repeat(10_000));
        assert!(problem.to_string().chars().count() < 600);
    }
}
