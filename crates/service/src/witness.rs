//! The outside witness: checkpoints of the signer's ledger, kept where an attacker on this machine does
//! not reach.
//!
//! The chain shows what was edited; only what stands elsewhere shows that all of it was written anew, or
//! cut off. A witness gets the newest checkpoint as a line of JSON whenever the ledger has grown.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use mailkeep_identity::{CheckpointKey, WitnessLine};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{Service, ServiceError, program, service::blocking};

/// How often it is looked whether the ledger has grown.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// The line is given to a program on its standard input, without a shell: the way to a second host, or
    /// to a bucket with object lock.
    Program {
        /// The program.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// How far a witness knows the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Witnessed {
    /// The number of the last record that it knows of.
    pub seq: u64,
    /// Of the ledger whose checkpoints are signed with this key.
    pub ledger: Option<CheckpointKey>,
    /// When it was told.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// Since when it cannot be told.
    #[serde(with = "time::serde::rfc3339::option")]
    pub failing_since: Option<OffsetDateTime>,
    /// Why not.
    pub error: Option<String>,
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
        let checkpoint = signer.checkpoint().await?;
        let key = self.checkpoint_key().await?;
        // So that whoever keeps it can check it without this machine.
        let mut line = WitnessLine { checkpoint, checkpoint_key: Some(key.clone()), follows: None };
        let mut told = Vec::new();
        for witness in &self.witnesses {
            let known = self.witnessed(witness).await?;
            let same = known.ledger.as_ref() == Some(&key);
            let told_all = same && known.seq == line.checkpoint.head.seq;
            // Of another ledger than the one it knows, it is told where that comes from.
            if !same && line.follows.is_none() {
                line.follows = self.followed().await?;
            }
            let state = match told_all && known.failing_since.is_none() {
                true => known,
                false => self.tell_witness(witness, known, &line).await?,
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
        };
        let state = match told {
            Ok(()) => Witnessed {
                seq: line.checkpoint.head.seq,
                ledger: line.checkpoint_key.clone(),
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

/// One write, so that the lines of two writers do not mix; on the disk when it returns.
fn append(path: &Path, line: &Value) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}
