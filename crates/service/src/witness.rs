//! The outside witness: checkpoints of the signer's ledger, kept where an attacker on this machine does
//! not reach.
//!
//! The chain shows what was edited; only what stands elsewhere shows that all of it was written anew, or
//! cut off. A witness gets the newest checkpoint as a line of JSON whenever the ledger has grown.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use mailkeep_identity::{CheckpointKey, Head, SecretName, WitnessLine};
use mailkeep_model::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    Bucket, Service, ServiceError, bucket::BucketKey, lost_signer::KnownOrigin, program,
    service::blocking,
};

/// How often it is looked whether the ledger has grown.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a bucket's key that is not taken is tried, before the signer is asked whether somebody has sealed
/// another. Each time it is asked, it writes that down, and every witness is told.
const ASK_AGAIN: Duration = Duration::from_secs(3600);

/// Somebody who keeps checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What people call it.
    pub name: String,
    /// How it is told.
    pub way: WitnessWay,
}

/// How a witness is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessWay {
    /// A line is added to this file: on another machine's disk, or on one that can only be added to.
    File(PathBuf),
    /// The line is given to a program on its standard input, without a shell: the way to a second host.
    Program {
        /// The program.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// An object for each line is put into a bucket and locked there.
    Bucket(Bucket),
}

/// How far a witness knows the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Witnessed {
    /// The number of the last record that it knows of.
    pub seq: u64,
    /// Of the ledger whose checkpoints are signed with this key.
    pub ledger: Option<CheckpointKey>,
    /// Whether it knows which lost ledger that one follows, or that it follows none.
    pub origin_told: bool,
    /// When it was told.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// Since when it cannot be told.
    #[serde(with = "time::serde::rfc3339::option")]
    pub failing_since: Option<OffsetDateTime>,
    /// Why not.
    pub error: Option<String>,
}

impl Witnessed {
    /// Whether it was told so much of this ledger, and nothing has failed since.
    fn knows(&self, ledger: &CheckpointKey, seq: u64, origin: &KnownOrigin) -> bool {
        let same = self.ledger.as_ref() == Some(ledger) && self.seq == seq;
        let untold = origin.lost.is_some() && !self.knows_origin_of(ledger);
        same && self.failing_since.is_none() && !untold
    }

    /// Whether it was told where this ledger comes from. One that was told before anybody ordered that is
    /// told when somebody has.
    fn knows_origin_of(&self, ledger: &CheckpointKey) -> bool {
        self.ledger.as_ref() == Some(ledger) && self.origin_told
    }
}

/// The key of a bucket, as the signer handed it out.
pub(crate) struct WitnessKey {
    key: Secret,
    asked: Instant,
    refused: bool,
}

impl WitnessKey {
    /// Whether to ask the signer again.
    fn is_outdated(&self, now: Instant) -> bool {
        self.refused && now.saturating_duration_since(self.asked) >= ASK_AGAIN
    }
}

impl Service {
    /// Tells every witness where the ledger stands, unless it knows; how far each knows it then.
    ///
    /// # Errors
    /// [`ServiceError::Identity`] without the signer. That a witness cannot be told is in its state.
    pub async fn tell_witnesses(&self) -> Result<Vec<(Witness, Witnessed)>, ServiceError> {
        if self.witnesses.is_empty() {
            return Ok(Vec::new());
        }
        let signer = self.signer().await?;
        let mut checkpoint = signer.checkpoint().await?;
        let key = self.checkpoint_key().await?;
        let mut known = Vec::new();
        for witness in &self.witnesses {
            known.push((witness, self.witnessed(witness).await?));
        }
        let mut origin = KnownOrigin::default();
        if known.iter().any(|(_, known)| !known.knows_origin_of(&key)) {
            // Where it stands is told in any case: a ledger that cannot be read is what witnesses are for.
            origin = self.origin_of(&key).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "witnesses are not told where the ledger comes from");
                KnownOrigin::default()
            });
        }
        // That a bucket's key was handed out is a record of its own, which all are to know of.
        let mut bucket_keys = BTreeMap::new();
        for (witness, known) in &known {
            let is_bucket = matches!(witness.way, WitnessWay::Bucket(_));
            if is_bucket && !known.knows(&key, checkpoint.head.seq, &origin) {
                bucket_keys.insert(&witness.name, self.witness_key(&witness.name).await);
            }
        }
        if !bucket_keys.is_empty() {
            checkpoint = signer.checkpoint().await?;
        }
        // So that whoever keeps it can check it without this machine.
        let mut line = WitnessLine { checkpoint, checkpoint_key: Some(key.clone()), follows: None };
        let mut told = Vec::new();
        for (witness, known) in known {
            let tells_origin = !known.knows_origin_of(&key);
            line.follows = origin.lost.clone().filter(|_| tells_origin);
            let bucket_key = bucket_keys.remove(&witness.name);
            // One that only lacks that another's key was handed out is told the next time.
            let waits = matches!(witness.way, WitnessWay::Bucket(_)) && bucket_key.is_none();
            let state = match waits || known.knows(&key, line.checkpoint.head.seq, &origin) {
                true => known,
                false => {
                    let origin_told = !tells_origin || origin.settled;
                    self.tell_witness(witness, known, &line, origin_told, bucket_key).await?
                }
            };
            told.push((witness.clone(), state));
        }
        Ok(told)
    }

    /// How far each witness knows the ledger.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn witnesses(&self) -> Result<Vec<(Witness, Witnessed)>, ServiceError> {
        let mut all = Vec::new();
        for witness in &self.witnesses {
            all.push((witness.clone(), self.witnessed(witness).await?));
        }
        Ok(all)
    }

    /// Tells witnesses as the ledger grows; never ends.
    pub async fn tend_witnesses(&self) {
        loop {
            match self.tell_witnesses().await {
                Ok(told) => {
                    for (witness, state) in told {
                        if let Some(error) = state.error {
                            tracing::error!(
                                witness = witness.name,
                                error,
                                "a witness of the ledger is not told"
                            );
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "witnesses of the ledger cannot be told"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Seals what an object store's witness is told with: the access key's id, and the secret in the next line.
    ///
    /// # Errors
    /// [`ServiceError::Witness`] when there is no such witness, or it is no such text.
    pub async fn seal_witness_key(&self, name: &str, key: &str) -> Result<(), ServiceError> {
        let refused = |reason: &str| ServiceError::Witness {
            witness: name.to_owned(),
            reason: reason.to_owned(),
        };
        let witness = self.witnesses.iter().find(|one| one.name == name);
        let witness =
            witness.ok_or_else(|| refused("there is none of that name in config.toml"))?;
        if !matches!(witness.way, WitnessWay::Bucket(_)) {
            return Err(refused("it is no bucket, and needs no key"));
        }
        if BucketKey::parse(key).is_none() {
            return Err(refused("a key has two lines: the access key's id, and its secret"));
        }
        let (job, key) = (self.new_job(), Secret::new(key.to_owned()));
        self.signer().await?.store_own_secret(&job, &secret_name(name), key).await?;
        self.witness_keys.lock().await.remove(name);
        Ok(())
    }

    /// The key of a bucket: asked of the signer once, which writes that down, and kept. Asked for each time,
    /// every line would make the next one. One that is not taken is tried on: it may be the bucket's rights,
    /// or the clock; or somebody has sealed another meanwhile, so that it is asked for again now and then.
    async fn witness_key(&self, name: &str) -> Result<Secret, String> {
        let now = Instant::now();
        if let Some(kept) = self.witness_keys.lock().await.get(name)
            && !kept.is_outdated(now)
        {
            return Ok(kept.key.clone());
        }
        let signer = self.signer().await.map_err(|error| error.to_string())?;
        let key = signer.release_own_secret(&self.new_job(), &secret_name(name)).await;
        let key = key.map_err(|error| {
            format!("{error}. 'mailkeep identity ledger witness-key' seals what it is told with")
        })?;
        let kept = WitnessKey { key: key.clone(), asked: now, refused: false };
        self.witness_keys.lock().await.insert(name.to_owned(), kept);
        Ok(key)
    }

    /// Puts a checkpoint where it cannot be changed.
    async fn put_into(
        &self,
        bucket: &Bucket,
        name: &str,
        line: &WitnessLine,
        key: Option<Result<Secret, String>>,
    ) -> Result<(), String> {
        let key = key.unwrap_or_else(|| Err("nobody asked for its key".to_owned()))?;
        let key = BucketKey::parse(key.expose()).ok_or("its key is damaged: seal it again")?;
        let Head { seq, hash } = &line.checkpoint.head;
        // Two that differ have different names, whatever number somebody gives a record.
        let hash: String = hash.to_string().chars().take(16).collect();
        let mut content = serde_json::to_vec(line).expect("numbers and texts serialise");
        content.push(b'\n');
        let object = format!("{seq:016}-{hash}.json");
        let put = bucket.put(&key, &object, content, OffsetDateTime::now_utc()).await;
        let refused = matches!(&put, Err(not_put) if not_put.by_its_key);
        if let Some(kept) = self.witness_keys.lock().await.get_mut(name) {
            kept.refused = refused;
        }
        put.map_err(|not_put| not_put.why)
    }

    async fn witnessed(&self, witness: &Witness) -> Result<Witnessed, ServiceError> {
        let known = self.control.witness(&witness.name).await?;
        // One that nobody can read any more is told again.
        Ok(known.and_then(|known| serde_json::from_value(known).ok()).unwrap_or_default())
    }

    async fn tell_witness(
        &self,
        witness: &Witness,
        known: Witnessed,
        line: &WitnessLine,
        origin_told: bool,
        bucket_key: Option<Result<Secret, String>>,
    ) -> Result<Witnessed, ServiceError> {
        let now = OffsetDateTime::now_utc();
        let json = serde_json::to_value(line).expect("numbers and texts serialise");
        let told = match &witness.way {
            WitnessWay::File(path) => {
                let path = path.clone();
                blocking(move || Ok(append(&path, &json).map_err(|error| error.to_string())))
                    .await?
            }
            WitnessWay::Program { path, arguments } => {
                let running = tokio::time::timeout(PATIENCE, program::run(path, arguments, &json));
                running.await.unwrap_or_else(|_| {
                    Err(format!("it did not end within {} s", PATIENCE.as_secs()))
                })
            }
            WitnessWay::Bucket(bucket) => {
                self.put_into(bucket, &witness.name, line, bucket_key).await
            }
        };
        let state = match told {
            Ok(()) => Witnessed {
                seq: line.checkpoint.head.seq,
                ledger: line.checkpoint_key.clone(),
                origin_told,
                at: Some(now),
                failing_since: None,
                error: None,
            },
            Err(error) => Witnessed {
                failing_since: known.failing_since.or(Some(now)),
                error: Some(error),
                ..known
            },
        };
        let value = serde_json::to_value(&state).expect("numbers and texts serialise");
        self.control.note_witness(&witness.name, value).await?;
        Ok(state)
    }
}

/// By a hash, because a witness may be called anything.
fn secret_name(witness: &str) -> SecretName {
    let hash = HEXLOWER.encode(&Sha256::digest(witness)[..8]);
    format!("witness-{hash}").parse().expect("short enough, and of the right characters")
}

/// One write, so that the lines of two writers do not mix; on the disk when it returns.
fn append(path: &Path, line: &Value) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_taken_is_never_asked_for_again_and_another_one_once_an_hour() {
        let asked = Instant::now();
        let kept = |refused| WitnessKey { key: Secret::new("key".to_owned()), asked, refused };
        assert!(!kept(false).is_outdated(asked + 100 * ASK_AGAIN));
        assert!(!kept(true).is_outdated(asked + ASK_AGAIN - Duration::from_secs(1)));
        assert!(kept(true).is_outdated(asked + ASK_AGAIN));
    }
}
