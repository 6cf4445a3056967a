//! One order, from the account to the certificate (RFC 8555 section 7.4).

use std::time::Duration;

use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::{
    AcmeChallenge, AcmeConfig, AcmeProblem,
    challenges::{HttpChallenges, Published, TlsChallenges},
    client::Outbound,
    problem::AcmeCause,
    storage::{KeptAccount, Storage},
};
use crate::tls::pair::Pair;

/// How long an order may take as a whole.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Orders in a row while the authority refuses nonces.
const ATTEMPTS: u32 = 5;

/// How the authority is asked whether it has decided.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(4 * 60));

/// The problem of an account that the authority has forgotten.
const NO_SUCH_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// What an order needs.
pub(super) struct Ordering<'a> {
    pub(super) config: &'a AcmeConfig,
    pub(super) storage: &'a Storage,
    pub(super) client: &'a Outbound,
    pub(super) http: &'a HttpChallenges,
    pub(super) tls: &'a TlsChallenges,
}

impl Ordering<'_> {
    /// Obtains a certificate for all domains and keeps it.
    ///
    /// # Cancellation
    ///
    /// Proofs are taken back; the authority forgets the order by itself.
    pub(super) async fn obtain(&self) -> Result<Pair, AcmeProblem> {
        match tokio::time::timeout(PATIENCE, self.obtained()).await {
            Ok(result) => result,
            Err(_) => Err(AcmeProblem::new(
                AcmeCause::TimedOut,
                format!("no certificate within {} minutes", PATIENCE.as_secs() / 60),
            )),
        }
    }

    /// Begins anew at once when nonces were refused; the library tries each
    /// request three times, which a busy authority may not be content with.
    async fn obtained(&self) -> Result<Pair, AcmeProblem> {
        for _ in 1..ATTEMPTS {
            match self.attempted().await {
                Err(problem) if problem.cause() == AcmeCause::Nonce => {}
                decided => return decided,
            }
        }
        self.attempted().await
    }

    async fn attempted(&self) -> Result<Pair, AcmeProblem> {
        let mut order = self.placed().await?;
        // Held until the authority has looked.
        let published = self.prove(&mut order).await?;
        let ready = order.poll_ready(&POLLING).await;
        drop(published);
        match ready {
            Ok(OrderStatus::Ready) => {}
            Err(error @ Error::Timeout(_)) => return Err(self.told(error)),
            Ok(_) => return Err(self.refusal(&mut order, None).await),
            Err(error) => return Err(self.refusal(&mut order, Some(error)).await),
        }

        let key = KeyPair::generate().map_err(AcmeProblem::internal)?;
        let mut params =
            CertificateParams::new(self.config.domains.clone()).map_err(AcmeProblem::internal)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(AcmeProblem::internal)?;
        order.finalize_csr(request.der()).await.map_err(|error| self.told(error))?;
        let chain = order.poll_certificate(&POLLING).await.map_err(|error| self.told(error))?;

        let key = key.serialize_pem();
        let pair = Pair::of_texts(chain.as_bytes(), key.as_bytes(), &self.config.domains)
            .map_err(AcmeProblem::internal)?;
        self.storage
            .keep_certificate(&key, &chain)
            .map_err(|error| AcmeProblem::storage(&error))?;
        Ok(pair)
    }

    /// Places the order, with a new account if the authority does not know ours.
    async fn placed(&self) -> Result<Order, AcmeProblem> {
        let identifiers: Vec<Identifier> =
            self.config.domains.iter().cloned().map(Identifier::Dns).collect();
        let wanted = NewOrder::new(&identifiers);
        let account = self.account().await?;
        match account.new_order(&wanted).await {
            Ok(order) => Ok(order),
            Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(NO_SUCH_ACCOUNT) => {
                tracing::warn!(
                    "the authority does not know the account any more; making a new one"
                );
                self.storage.forget_account().map_err(|error| AcmeProblem::storage(&error))?;
                let account = self.account().await?;
                account.new_order(&wanted).await.map_err(|error| self.told(error))
            }
            Err(error) => Err(self.told(error)),
        }
    }

    /// The account that was kept, else a new one, which is kept.
    async fn account(&self) -> Result<Account, AcmeProblem> {
        let email = self.config.email.as_ref();
        let contact = email.map(|address| format!("mailto:{address}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let Some(kept) = self.storage.account().map_err(|error| AcmeProblem::storage(&error))?
        else {
            return self.new_account(&contact).await;
        };
        let credentials =
            serde_json::from_value(kept.credentials.clone()).map_err(AcmeProblem::internal)?;
        let account =
            self.builder().from_credentials(credentials).await.map_err(|error| self.told(error))?;
        if kept.email.as_ref() != email {
            account.update_contacts(&contact).await.map_err(|error| self.told(error))?;
            self.keep(kept.credentials)?;
        }
        Ok(account)
    }

    async fn new_account(&self, contact: &[&str]) -> Result<Account, AcmeProblem> {
        let wanted = NewAccount {
            contact,
            terms_of_service_agreed: self.config.agree_tos,
            only_return_existing: false,
        };
        let external = self.config.external_key().map_err(AcmeProblem::internal)?;
        let external = external.map(|(name, key)| ExternalAccountKey::new(name, &key));
        let directory = self.config.directory.as_str().to_owned();
        let (account, credentials) = self
            .builder()
            .create(&wanted, directory, external.as_ref())
            .await
            .map_err(|error| self.told(error))?;
        self.keep(serde_json::to_value(credentials).map_err(AcmeProblem::internal)?)?;
        Ok(account)
    }

    fn keep(&self, credentials: serde_json::Value) -> Result<(), AcmeProblem> {
        let account = KeptAccount { email: self.config.email.clone(), credentials };
        self.storage.keep_account(&account).map_err(|error| AcmeProblem::storage(&error))
    }

    fn builder(&self) -> AccountBuilder {
        Account::builder_with_http(Box::new(self.client.clone()))
    }

    /// Publishes a proof for each domain that is not proved yet, and says so.
    async fn prove(&self, order: &mut Order) -> Result<Vec<Published>, AcmeProblem> {
        let kind = match self.config.challenge {
            AcmeChallenge::Http01 => ChallengeType::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let mut published = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.told(error))?;
            // An authority may remember an earlier proof.
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let domain = authorization.identifier().to_string();
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                let offer = format!("the authority does not offer {}", self.config.challenge);
                return Err(AcmeProblem::new(AcmeCause::Rejected, offer).about(&domain));
            };
            let proof = challenge.key_authorization();
            published.push(match self.config.challenge {
                AcmeChallenge::Http01 => self.http.publish(&challenge.token, proof.as_str()),
                AcmeChallenge::TlsAlpn01 => self.tls.publish(&domain, proof.digest().as_ref())?,
            });
            challenge.set_ready().await.map_err(|error| self.told(error).about(&domain))?;
        }
        Ok(published)
    }

    /// Why an order was turned down: the domain's own problem says more than the
    /// order's.
    async fn refusal(&self, order: &mut Order, error: Option<Error>) -> AcmeProblem {
        for _ in 0..ATTEMPTS {
            match of_a_domain(order).await {
                Ok(Some(problem)) => return problem,
                Ok(None) => break,
                // A nonce was refused, for instance: it is only a question.
                Err(error) => tracing::debug!(%error, "the authority did not say which domain"),
            }
        }
        match error {
            Some(error) => self.told(error),
            None => AcmeProblem::new(AcmeCause::Other, "the authority gave no reason"),
        }
    }

    fn told(&self, error: Error) -> AcmeProblem {
        AcmeProblem::from_error(error, &self.config.directory)
    }
}

/// The problem of the first domain that has one.
async fn of_a_domain(order: &mut Order) -> Result<Option<AcmeProblem>, Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let state = authorization.refresh().await?;
        let failed = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = failed {
            let problem = AcmeProblem::from_answer(problem);
            return Ok(Some(problem.about(&state.identifier().to_string())));
        }
    }
    Ok(None)
}
