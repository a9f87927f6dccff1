//! Encrypted Office documents (MS-OFFCRYPTO), opened with the passwords that are tried without
//! asking: Excel's and PowerPoint's own, and words of the message.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{
    biff,
    bytes::{place_le, prefix, slice, u16_le, u32_le, u64_le},
    cfb::Compound,
    contents::Contents,
    crypt::{Aes, Rc4},
    technique::Technique,
    xml::{self, Event, Events},
};

/// What Excel tries by itself, with any encryption that it reads.
const EXCEL: &str = "VelvetSweatshop";
/// What PowerPoint tries by itself; of its time are only the older encryptions.
const POWERPOINT: &str = "/01Hannes Ruescher/01";
/// Rounds of the older key derivation.
const STANDARD_ROUNDS: u32 = 50_000;
/// What a try costs, in those of an archive: documents make their keys more slowly.
const TRY: usize = 20;

/// A document in an encrypted package.
pub(super) fn read_package(file: &Compound<'_>, contents: &mut Contents<'_>) {
    let (Some(info), Some(package)) =
        (file.stream("EncryptionInfo"), file.stream("EncryptedPackage"))
    else {
        return;
    };
    contents.spend(package.len());
    let told = contents.words(TRY, &[]);
    let is_agile = u16_le(&info, 0) == Some(4) && u16_le(&info, 2) == Some(4);
    let defaults: &[&str] = if is_agile { &[EXCEL] } else { &[EXCEL, POWERPOINT] };
    let tried = defaults.iter().copied().map(|word| (word, Technique::DefaultPassword));
    let told = told.iter().map(|word| (word.as_str(), Technique::PasswordInMessage));
    for (password, technique) in tried.chain(told) {
        // Their number stands in the document, and whoever wrote it may want us to be busy.
        if !rounds(&info).is_some_and(|rounds| contents.rounds(rounds)) {
            break;
        }
        if let Some(plain) = open(&info, &package, password) {
            contents.mark(technique, "the document opens with a password that is no secret");
            contents.spend(plain.len());
            return contents.child("document", plain);
        }
    }
    contents.mark(Technique::Encrypted, "the document is encrypted");
    contents.note("an encrypted document was not inspected");
}

/// How often a password is hashed to make the key; `None` when nothing of ours opens it.
fn rounds(info: &[u8]) -> Option<u32> {
    match (u16_le(info, 0)?, u16_le(info, 2)?) {
        (4, 4) => {
            let description = std::str::from_utf8(info.get(8..)?).ok()?;
            Events::new(description).find_map(|event| match event {
                Event::Start("encryptedKey", rest) => spin_count(rest),
                _ => None,
            })
        }
        (2..=4, 2) => Some(STANDARD_ROUNDS),
        _ => None,
    }
}

fn spin_count(key: &str) -> Option<u32> {
    xml::attribute(key, "spinCount")?.parse().ok()
}

fn open(info: &[u8], package: &[u8], password: &str) -> Option<Vec<u8>> {
    match (u16_le(info, 0)?, u16_le(info, 2)?) {
        (4, 4) => agile(std::str::from_utf8(info.get(8..)?).ok()?, package, password),
        (2..=4, 2) => standard(info, package, password),
        _ => None,
    }
}

/// UTF-16, as passwords are hashed.
fn wide(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[derive(Clone, Copy)]
enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "MD5" => Self::Md5,
            "SHA1" | "SHA-1" => Self::Sha1,
            "SHA256" | "SHA-256" => Self::Sha256,
            "SHA384" | "SHA-384" => Self::Sha384,
            "SHA512" | "SHA-512" => Self::Sha512,
            _ => return None,
        })
    }

    fn of(self, pieces: &[&[u8]]) -> Vec<u8> {
        fn digest<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            pieces.iter().for_each(|piece| digest.update(piece));
            digest.finalize().to_vec()
        }
        match self {
            Self::Md5 => digest::<Md5>(pieces),
            Self::Sha1 => digest::<Sha1>(pieces),
            Self::Sha256 => digest::<Sha256>(pieces),
            Self::Sha384 => digest::<Sha384>(pieces),
            Self::Sha512 => digest::<Sha512>(pieces),
        }
    }

    /// Hashes password and salt, and the result again and again.
    fn spin(self, password: &str, salt: &[u8], rounds: u32) -> Vec<u8> {
        /// Nothing is allocated between rounds: there are a hundred thousand.
        fn spin<D: Digest>(password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
            let mut hash = D::new().chain_update(salt).chain_update(password).finalize();
            for round in 0..rounds {
                hash = D::new().chain_update(round.to_le_bytes()).chain_update(&hash).finalize();
            }
            hash.to_vec()
        }
        let password = wide(password);
        match self {
            Self::Md5 => spin::<Md5>(&password, salt, rounds),
            Self::Sha1 => spin::<Sha1>(&password, salt, rounds),
            Self::Sha256 => spin::<Sha256>(&password, salt, rounds),
            Self::Sha384 => spin::<Sha384>(&password, salt, rounds),
            Self::Sha512 => spin::<Sha512>(&password, salt, rounds),
        }
    }
}

/// Cut, or filled up with 0x36, to the length.
fn fit(mut bytes: Vec<u8>, len: usize) -> Vec<u8> {
    bytes.resize(len, 0x36);
    bytes
}

fn vector(bytes: Vec<u8>) -> Option<[u8; 16]> {
    fit(bytes, 16).try_into().ok()
}

/// Agile encryption (2.3.4.10 and following): all parameters stand in XML.
fn agile(description: &str, package: &[u8], password: &str) -> Option<Vec<u8>> {
    let (mut data, mut key) = (None, None);
    for event in Events::new(description) {
        match event {
            Event::Start("keyData", rest) => data = data.or(Some(rest)),
            Event::Start("encryptedKey", rest) => key = key.or(Some(rest)),
            _ => {}
        }
    }
    let (data, key) = (data?, key?);
    let binary = |from: &str, name: &str| {
        data_encoding::BASE64.decode(xml::attribute(from, name)?.as_bytes()).ok()
    };
    let number = |from: &str, name: &str| xml::attribute(from, name)?.parse::<u32>().ok();
    if xml::attribute(key, "cipherAlgorithm")? != "AES"
        || xml::attribute(data, "cipherAlgorithm")? != "AES"
    {
        return None;
    }
    let hash = Hash::named(&xml::attribute(key, "hashAlgorithm")?)?;
    let salt = binary(key, "saltValue")?;
    let key_len = (number(key, "keyBits")? / 8) as usize;
    let spun = hash.spin(password, &salt, spin_count(key)?);
    let with = |block: [u8; 8], encrypted: &[u8]| {
        let key = fit(hash.of(&[&spun, &block]), key_len);
        Some(Aes::new(&key)?.decrypt_chain(encrypted, vector(salt.clone())))
    };
    let input = with(
        [0xFE, 0xA7, 0xD2, 0x76, 0x3B, 0x4B, 0x9E, 0x79],
        &binary(key, "encryptedVerifierHashInput")?,
    )?;
    let expected = with(
        [0xD7, 0xAA, 0x0F, 0x6D, 0x30, 0x61, 0x34, 0x4E],
        &binary(key, "encryptedVerifierHashValue")?,
    )?;
    let actual = hash.of(&[&input]);
    if !expected.starts_with(&actual) {
        return None;
    }
    let secret =
        with([0x14, 0x6E, 0x0B, 0xE7, 0xAB, 0xAC, 0xD0, 0xD6], &binary(key, "encryptedKeyValue")?)?;
    let aes = Aes::new(secret.get(..(number(data, "keyBits")? / 8) as usize)?)?;
    let hash = Hash::named(&xml::attribute(data, "hashAlgorithm")?)?;
    let salt = binary(data, "saltValue")?;
    let mut plain = Vec::with_capacity(package.len());
    for (number, segment) in package.get(8..)?.chunks(4_096).enumerate() {
        let vector = vector(hash.of(&[&salt, &(number as u32).to_le_bytes()]))?;
        plain.extend(aes.decrypt_chain(segment, Some(vector)));
    }
    plain.truncate(usize::try_from(u64_le(package, 0)?).ok()?);
    Some(plain)
}

/// Standard encryption (2.3.4.5 and following): AES without chaining.
fn standard(info: &[u8], package: &[u8], password: &str) -> Option<Vec<u8>> {
    let header_len = place_le(info, 8)?;
    let key_len = place_le(info, 12 + 16)? / 8;
    let verifier = info.get(12_usize.checked_add(header_len)?..)?;
    let salt = slice(verifier, 4, 16)?;
    let hash =
        Hash::Sha1.of(&[&Hash::Sha1.spin(password, salt, STANDARD_ROUNDS), &0_u32.to_le_bytes()]);
    let mut inner = [0x36; 64];
    let mut outer = [0x5C; 64];
    for (index, byte) in hash.iter().enumerate() {
        inner[index] ^= byte;
        outer[index] ^= byte;
    }
    let mut key = Hash::Sha1.of(&[&inner]);
    key.extend(Hash::Sha1.of(&[&outer]));
    let aes = Aes::new(key.get(..key_len)?)?;
    let input = aes.decrypt_chain(slice(verifier, 20, 16)?, None);
    let expected = aes.decrypt_chain(slice(verifier, 40, 32)?, None);
    if !expected.starts_with(&Hash::Sha1.of(&[&input])) {
        return None;
    }
    let mut plain = aes.decrypt_chain(package.get(8..)?, None);
    plain.truncate(usize::try_from(u64_le(package, 0)?).ok()?);
    Some(plain)
}

/// Decrypts a workbook of Excel 97 to 2003 in place (MS-XLS 2.2.10); `info` is its FILEPASS
/// record. `false` when Excel's own password is not its.
pub(super) fn unlock_workbook(bytes: &mut [u8], info: &[u8]) -> bool {
    let Some(keys) = workbook_keys(info) else { return false };
    // Blocks are of 1,024 bytes of the stream; headers are counted and stay as they are.
    let (mut block, mut position, mut cipher) = (u32::MAX, 0, None);
    for (at, len, is_plain) in biff::plain_places(bytes) {
        for (offset, byte) in bytes[at..at + len].iter_mut().enumerate() {
            let place = at + offset;
            let wanted = (place / 1_024) as u32;
            if wanted != block {
                (block, position) = (wanted, 0);
                cipher = Some(keys.cipher(block));
            }
            let Some(cipher) = &mut cipher else { return false };
            while position < place % 1_024 {
                cipher.next();
                position += 1;
            }
            let mask = cipher.next();
            position += 1;
            // The first four bytes of BOUNDSHEET, a place in the stream, stay as well.
            if !is_plain {
                *byte ^= mask;
            }
        }
    }
    true
}

/// From what the key of each block is made.
enum Keys {
    /// 40 bits of MD5 (2.3.6.2).
    Old([u8; 5]),
    /// SHA-1 with as many bytes as the file says (2.3.5.2).
    New(Vec<u8>, usize),
}

impl Keys {
    fn cipher(&self, block: u32) -> Rc4 {
        match self {
            Self::Old(hash) => Rc4::new(&Hash::Md5.of(&[hash, &block.to_le_bytes()])),
            Self::New(hash, len) => {
                let mut key = Hash::Sha1.of(&[hash, &block.to_le_bytes()]);
                key.truncate(*len);
                if *len == 5 {
                    key.resize(16, 0);
                }
                Rc4::new(&key)
            }
        }
    }
}

fn workbook_keys(info: &[u8]) -> Option<Keys> {
    if u16_le(info, 0)? != 1 {
        return None; // the XOR of Excel 95
    }
    let (keys, verifier, hash) = if u16_le(info, 2)? == 1 {
        let salt = slice(info, 6, 16)?;
        let first = Hash::Md5.of(&[&wide(EXCEL)]);
        let mut long = Vec::new();
        for _ in 0..16 {
            long.extend_from_slice(&first[..5]);
            long.extend_from_slice(salt);
        }
        let key = Hash::Md5.of(&[&long])[..5].try_into().ok()?;
        (Keys::Old(key), slice(info, 22, 16)?.to_vec(), slice(info, 38, 16)?.to_vec())
    } else {
        let header_len = place_le(info, 10)?;
        let bits = u32_le(info, 14 + 16)?;
        let verifier = info.get(14_usize.checked_add(header_len)?..)?;
        let salt = slice(verifier, 4, 16)?;
        let hash = Hash::Sha1.of(&[salt, &wide(EXCEL)]);
        let len = if bits == 0 { 5 } else { (bits / 8) as usize };
        let keys = Keys::New(hash, len.clamp(5, 20));
        (keys, slice(verifier, 20, 16)?.to_vec(), prefix(verifier, 40, 20).to_vec())
    };
    let mut cipher = keys.cipher(0);
    let (mut verifier, mut expected) = (verifier, hash);
    cipher.apply(&mut verifier);
    cipher.apply(&mut expected);
    let actual = match keys {
        Keys::Old(_) => Hash::Md5.of(&[&verifier]),
        Keys::New(..) => Hash::Sha1.of(&[&verifier]),
    };
    (actual == expected).then_some(keys)
}
