// SPDX-License-Identifier: Apache-2.0
//! Systems without a login: a secret goes with each call.

use std::time::Duration;

use secrecy::SecretString;

use super::{Grant, Login, Secrets, read};
use crate::{
    config::secret::SecretSource,
    net::{Answer, Api, Consequence, Failure, Fault},
};

/// How long a secret is used before its source is read again: longer than any process lives. It is
/// read again when the system refuses it.
const WITHOUT_END: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The login of a system that has none. Its "token" is the secret itself, which no request gives and
/// none takes back. A call that is refused for it is a refused login: the next one is held back in
/// the same way, so that a wrong secret is not tried at every scrape.
///
/// The system's module marks such a refusal with [`Consequence::RenewToken`].
#[derive(Debug, PartialEq)]
pub struct SecretInEachCall<const KEYS: usize> {
    /// The secret without which no call is answered.
    pub secret: SecretSource,
    /// Further secrets of the source, which some calls take.
    pub keys: [Option<SecretSource>; KEYS],
}

/// The secrets as they were read.
#[derive(Clone)]
pub struct Presented<const KEYS: usize> {
    /// The secret without which no call is answered.
    pub secret: SecretString,
    /// Further secrets, as far as they are configured.
    pub keys: [Option<SecretString>; KEYS],
}

impl<const KEYS: usize> Secrets for Presented<KEYS> {
    fn all(&self) -> Vec<&SecretString> {
        let further = self.keys.iter().flatten();
        std::iter::once(&self.secret).chain(further).collect()
    }
}

impl<const KEYS: usize> Login for SecretInEachCall<KEYS> {
    type Token = Presented<KEYS>;
    type Secrets = Presented<KEYS>;

    const HAS_TOKEN: bool = false;

    async fn secrets(&self) -> Result<Presented<KEYS>, Failure> {
        let secret = read(&self.secret).await?;
        let mut keys = [const { None }; KEYS];
        for (key, source) in keys.iter_mut().zip(&self.keys) {
            if let Some(source) = source {
                *key = Some(read(source).await?);
            }
        }
        Ok(Presented { secret, keys })
    }

    async fn login(
        &self,
        _: &Api,
        secrets: &Presented<KEYS>,
    ) -> Result<Grant<Presented<KEYS>>, Failure> {
        Ok(Grant {
            token: secrets.clone(),
            renew_after: WITHOUT_END,
            valid_for: WITHOUT_END,
            renewable_for: Duration::ZERO,
        })
    }

    async fn logout(&self, _: &Api, _: &Presented<KEYS>) {}
}

/// As [`Answer::check_status`]. A 403 is a refused secret too: a proxy that checks it, or bans those
/// who send a wrong one, must not be asked at every scrape either.
///
/// # Errors
/// Any status but 2xx.
pub fn check_status(answer: &Answer) -> Result<(), Fault> {
    answer.check_status().map_err(|fault| match fault.consequence {
        Consequence::DoubtToken => fault.then(Consequence::RenewToken),
        Consequence::None
        | Consequence::RenewToken
        | Consequence::LoginRejected
        | Consequence::LockedOut(_)
        | Consequence::HoldLogin(_)
        | Consequence::HoldRequests(_) => fault,
    })
}
