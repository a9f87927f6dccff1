use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// What a systemd credential was sealed with, as its head says. The signer's passphrase comes in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialSeal {
    /// By the machine's TPM: the file is worth nothing elsewhere.
    Tpm,
    /// By the machine's TPM and a key on its disk together.
    TpmAndHost,
    /// By a key on the machine's disk (`/var/lib/systemd/credential.secret`) alone.
    Host,
    /// By nothing: whoever reads the file has what is in it.
    Nothing,
}

/// The first 16 bytes of a credential, and what they stand for: systemd's `src/shared/creds-util.h`. The
/// scoped ones are bound to a user as well.
const KINDS: &[(u128, CredentialSeal)] = &[
    (0x0c7c_c07b_1176_4591_9c4b_0bea_08bc_20fe, CredentialSeal::Tpm),
    (0xfaf7_eb93_41e3_412c_a1a4_36f9_5a29_362f, CredentialSeal::Tpm),
    (0x93a8_9409_4874_4490_90ca_f2fc_93ca_b553, CredentialSeal::TpmAndHost),
    (0xef4a_c136_79a9_480e_a7db_6889_7f9f_165d, CredentialSeal::TpmAndHost),
    (0xaf49_50a8_4913_4eb1_a738_4630_4ff3_0c05, CredentialSeal::TpmAndHost),
    (0xadbc_4ca3_efb6_4201_ba88_1b6f_2e40_95ea, CredentialSeal::TpmAndHost),
    (0x5a1c_6a86_df9d_4096_b1d5_a65e_0862_f19a, CredentialSeal::Host),
    (0x55b9_ed1d_3859_4d43_a831_9d2e_bb33_2ac6, CredentialSeal::Host),
    (0x0584_69da_f6f5_4324_8005_49da_0f8e_a2fb, CredentialSeal::Nothing),
];

impl CredentialSeal {
    /// From what `systemd-creds encrypt` wrote: base64, whatever is behind the head. `None` when it is no
    /// credential, or one of a kind that is not known here.
    pub fn of(credential: &[u8]) -> Option<Self> {
        let mut head = [0; 24];
        let mut letters = credential.iter().filter(|byte| !byte.is_ascii_whitespace());
        for place in &mut head {
            *place = *letters.next()?;
        }
        let head = BASE64.decode(&head).ok()?;
        let kind = u128::from_be_bytes(*head.first_chunk()?);
        KINDS.iter().find(|(id, _)| *id == kind).map(|(_, seal)| *seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_any_reader_opens_is_not_taken_for_one_that_the_tpm_holds() {
        let credential = |kind: u128| BASE64.encode(&[&kind.to_be_bytes()[..], &[7; 40]].concat());
        for (kind, seal) in KINDS {
            let text = credential(*kind);
            let (first, rest) = text.split_at(5);
            let folded = format!("{first}\n {rest}\n");
            assert_eq!(CredentialSeal::of(folded.as_bytes()), Some(*seal), "{kind:x}");
        }
        for other in [&credential(1), "", "DHzAexF2RZGcSwvqCLwg", &"=".repeat(40)] {
            assert_eq!(CredentialSeal::of(other.as_bytes()), None, "{other}");
        }
    }
}
