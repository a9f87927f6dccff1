//! Private keys that were opened a moment ago.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mailkeep_identity::{KeyUse, protocol::Failure};

use crate::key::PrivateKey;

/// How long a key stays after it was opened, however often it is used: a change of keys at a provider
/// that is quick signs with each of its two keys again within this.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);
/// Keys at a time; one more puts the oldest away. Twice what is changed at once, with both keys of each.
const MOST: usize = 32;

/// Keys that need not be opened again for another signature: unsealing a file, checking the key in it
/// and preparing it for use take longer than a signature.
///
/// The master key, which opens all of them, lies in the same memory all the time, so that nothing can be
/// stolen here that could not be stolen without. Dropped, a key is overwritten (AWS-LC cleanses what it
/// frees). Keys inside a token never come here.
#[derive(Default)]
pub(crate) struct AtHand {
    /// The oldest first.
    keys: Mutex<VecDeque<Opened>>,
}

struct Opened {
    key_use: KeyUse,
    key_id: String,
    key: Arc<PrivateKey>,
    at: Instant,
}

impl AtHand {
    /// The key, opened by `open` when it is not here.
    ///
    /// Called while the registry is held, as is [`AtHand::put_away`]: a key that was destroyed does not
    /// come back.
    pub(crate) fn key(
        &self,
        key_use: &KeyUse,
        key_id: &str,
        open: impl FnOnce() -> Result<PrivateKey, Failure>,
    ) -> Result<Arc<PrivateKey>, Failure> {
        let now = Instant::now();
        let found = self.young(now).iter().find(|one| one.is(key_use, key_id)).map(Opened::key);
        if let Some(key) = found {
            return Ok(key);
        }
        // Without the lock: others sign meanwhile.
        let key = Arc::new(open()?);
        if let PrivateKey::InMemory(_) = *key {
            let (key_use, key_id) = (key_use.clone(), key_id.to_owned());
            let opened = Opened { key_use, key_id, key: Arc::clone(&key), at: now };
            let mut keys = self.young(now);
            keys.retain(|one| !one.is(&opened.key_use, &opened.key_id));
            keys.push_back(opened);
            let above = keys.len().saturating_sub(MOST);
            keys.drain(..above);
        }
        Ok(key)
    }

    /// Puts the keys of a tenant and function away: they change.
    pub(crate) fn put_away(&self, key_use: &KeyUse) {
        self.lock().retain(|one| one.key_use != *key_use);
    }

    /// Puts away those that were opened longer ago than [`LONGEST`].
    pub(crate) fn put_old_ones_away(&self) {
        drop(self.young(Instant::now()));
    }

    fn young(&self, now: Instant) -> MutexGuard<'_, VecDeque<Opened>> {
        let mut keys = self.lock();
        while keys.front().is_some_and(|oldest| now.duration_since(oldest.at) > LONGEST) {
            keys.pop_front();
        }
        keys
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Opened>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn is(&self, key_use: &KeyUse, key_id: &str) -> bool {
        self.key_use == *key_use && self.key_id == key_id
    }

    fn key(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use mailkeep_model::Function;

    use super::*;

    fn key_use(tenant: &str) -> KeyUse {
        KeyUse { tenant: tenant.parse().unwrap(), function: Function::Reader }
    }

    /// How often `kept` was opened, when it was asked for `names` in turn.
    fn openings(kept: &AtHand, pkcs8: &[u8], names: &[&str]) -> usize {
        let opened = Cell::new(0);
        for name in names {
            let open = || {
                opened.set(opened.get() + 1);
                Ok(PrivateKey::from_pkcs8(pkcs8).unwrap())
            };
            kept.key(&key_use(name), "one", open).map(drop).unwrap();
        }
        opened.get()
    }

    #[test]
    fn a_key_is_gone_when_it_changed_was_opened_long_ago_or_others_came() {
        let pkcs8 = PrivateKey::generate().unwrap().to_pkcs8().unwrap();
        let kept = AtHand::default();
        assert_eq!(openings(&kept, &pkcs8, &["a", "b", "a", "b"]), 2);
        kept.put_away(&key_use("a"));
        assert_eq!(openings(&kept, &pkcs8, &["b", "a"]), 1);

        // As if it had been opened then; using it has not made it younger.
        for one in &mut *kept.lock() {
            one.at = one.at.checked_sub(LONGEST * 2).unwrap();
        }
        kept.put_old_ones_away();
        assert!(kept.lock().is_empty());

        let many: Vec<String> = (0..=MOST).map(|number| format!("t{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(openings(&kept, &pkcs8, &many), MOST + 1);
        assert_eq!(kept.lock().len(), MOST);
        assert_eq!(openings(&kept, &pkcs8, &["t0"]), 1);
    }

    #[test]
    fn a_key_that_cannot_be_opened_is_opened_again_the_next_time() {
        let kept = AtHand::default();
        let failed = || Err(Failure::Damaged { what: "it is missing".to_owned() });
        assert!(kept.key(&key_use("a"), "one", failed).is_err());
        assert!(kept.lock().is_empty());
    }
}
