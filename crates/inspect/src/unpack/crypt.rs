//! Ciphers as files use them, from keys of any length that turns up.

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{BlockDecrypt, BlockEncrypt, KeyInit, generic_array::GenericArray},
};
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// AES with a key of 16, 24 or 32 bytes.
pub(super) enum Aes {
    Short(Box<Aes128>),
    Middle(Box<Aes192>),
    Long(Box<Aes256>),
}

impl Aes {
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        Some(match key.len() {
            16 => Self::Short(Box::new(Aes128::new_from_slice(key).ok()?)),
            24 => Self::Middle(Box::new(Aes192::new_from_slice(key).ok()?)),
            32 => Self::Long(Box::new(Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        })
    }

    pub(super) fn encrypt(&self, block: &mut [u8; 16]) {
        let block = GenericArray::from_mut_slice(block);
        match self {
            Self::Short(aes) => aes.encrypt_block(block),
            Self::Middle(aes) => aes.encrypt_block(block),
            Self::Long(aes) => aes.encrypt_block(block),
        }
    }

    fn decrypt(&self, block: &mut [u8; 16]) {
        let block = GenericArray::from_mut_slice(block);
        match self {
            Self::Short(aes) => aes.decrypt_block(block),
            Self::Middle(aes) => aes.decrypt_block(block),
            Self::Long(aes) => aes.decrypt_block(block),
        }
    }

    /// Undoes chaining (CBC); without a vector, blocks for themselves (ECB). What is behind the
    /// last whole block is dropped.
    pub(super) fn decrypt_chain(&self, data: &[u8], vector: Option<[u8; 16]>) -> Vec<u8> {
        let mut plain = Vec::with_capacity(data.len());
        let mut before = vector;
        for block in data.as_chunks::<16>().0 {
            let mut out = *block;
            self.decrypt(&mut out);
            if let Some(before) = &mut before {
                for (byte, mask) in out.iter_mut().zip(*before) {
                    *byte ^= mask;
                }
                *before = *block;
            }
            plain.extend_from_slice(&out);
        }
        plain
    }
}

/// RC4, which is its own inverse.
pub(super) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    /// `key` is not empty.
    pub(super) fn new(key: &[u8]) -> Self {
        let mut state: [u8; 256] = std::array::from_fn(|index| index as u8);
        let mut j = 0_u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    pub(super) fn next(&mut self) -> u8 {
        self.i = self.i.wrapping_add(1);
        let at_i = self.state[usize::from(self.i)];
        self.j = self.j.wrapping_add(at_i);
        let at_j = self.state[usize::from(self.j)];
        self.state.swap(usize::from(self.i), usize::from(self.j));
        self.state[usize::from(at_i.wrapping_add(at_j))]
    }

    pub(super) fn apply(&mut self, data: &mut [u8]) {
        for byte in data {
            *byte ^= self.next();
        }
    }
}

/// PBKDF2 (RFC 8018) with HMAC-SHA-1.
pub(super) fn pbkdf2_sha1(password: &[u8], salt: &[u8], rounds: u32, len: usize) -> Vec<u8> {
    let mac = <Hmac<Sha1> as hmac::KeyInit>::new_from_slice(password)
        .expect("HMAC takes keys of any length (RFC 2104)");
    let mut out = Vec::with_capacity(len + 20);
    let mut number = 1_u32;
    while out.len() < len {
        let mut first = mac.clone();
        first.update(salt);
        first.update(&number.to_be_bytes());
        let mut step = first.finalize().into_bytes();
        let mut sum = step;
        for _ in 1..rounds {
            let mut next = mac.clone();
            next.update(&step);
            step = next.finalize().into_bytes();
            for (sum, byte) in sum.iter_mut().zip(step.iter()) {
                *sum ^= byte;
            }
        }
        out.extend_from_slice(&sum);
        number += 1;
    }
    out.truncate(len);
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn the_published_test_vectors_come_out() {
        let derived = pbkdf2_sha1(b"password", b"salt", 2, 20); // RFC 6070
        assert_eq!(HEXLOWER.encode(&derived), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        let mut text = *b"Plaintext";
        Rc4::new(b"Key").apply(&mut text);
        assert_eq!(HEXLOWER.encode(&text), "bbf316e8d940af0ad3");
        let mut block: [u8; 16] = std::array::from_fn(|index| index as u8 * 0x11); // FIPS 197
        let key: Vec<u8> = (0..16).collect();
        let aes = Aes::new(&key).unwrap();
        aes.encrypt(&mut block);
        assert_eq!(HEXLOWER.encode(&block), "69c4e0d86a7b0430d8cdb78070b4c55a");
    }
}
