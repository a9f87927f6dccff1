//! The two encryptions of ZIP: PKWARE's traditional one (APPNOTE 6.1) and WinZip's AES
//! (its specification AE-1/AE-2).

use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::{
    bytes::{slice, u16_le},
    crypt::{Aes, pbkdf2_sha1},
};

/// Undoes traditional encryption; `None` when the password is wrong by the check byte.
pub(super) fn traditional(packed: &[u8], check: u8, password: &[u8]) -> Option<Vec<u8>> {
    let mut keys = Keys([0x1234_5678, 0x2345_6789, 0x3456_7890]);
    for &byte in password {
        keys.update(byte);
    }
    let mut header = [0; 12];
    for (plain, &byte) in header.iter_mut().zip(slice(packed, 0, 12)?) {
        *plain = keys.decrypt(byte);
    }
    if header[11] != check {
        return None;
    }
    Some(packed[12..].iter().map(|&byte| keys.decrypt(byte)).collect())
}

struct Keys([u32; 3]);

impl Keys {
    fn update(&mut self, byte: u8) {
        let [a, b, c] = &mut self.0;
        *a = crc_step(*a, byte);
        *b = b.wrapping_add(*a & 0xFF).wrapping_mul(134_775_813).wrapping_add(1);
        *c = crc_step(*c, (*b >> 24) as u8);
    }

    fn decrypt(&mut self, byte: u8) -> u8 {
        let temporary = (self.0[2] | 2) & 0xFFFF;
        let plain = byte ^ (temporary.wrapping_mul(temporary ^ 1) >> 8) as u8;
        self.update(plain);
        plain
    }
}

/// CRC-32 of ISO 3309, one byte further.
fn crc_step(crc: u32, byte: u8) -> u32 {
    CRC[usize::from((crc as u8) ^ byte)] ^ (crc >> 8)
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// Undoes AES encryption: the packed bytes and the method that packed them. `None` when the
/// password is wrong by the verification value and by the authentication code.
pub(super) fn aes(packed: &[u8], extra: &[u8], password: &[u8]) -> Option<(Vec<u8>, u16)> {
    let method = u16_le(extra, 5)?;
    let key_len = match extra.get(4)? {
        1 => 16,
        2 => 24,
        3 => 32,
        _ => return None,
    };
    let salt = slice(packed, 0, key_len / 2)?;
    let verification = slice(packed, key_len / 2, 2)?;
    let data = packed.get(key_len / 2 + 2..packed.len().checked_sub(10)?)?;
    let keys = pbkdf2_sha1(password, salt, 1_000, key_len * 2 + 2);
    if keys.get(key_len * 2..)? != verification {
        return None;
    }
    let mut mac =
        <Hmac<Sha1> as hmac::KeyInit>::new_from_slice(&keys[key_len..key_len * 2]).ok()?;
    mac.update(data);
    if mac.finalize().into_bytes()[..10] != packed[packed.len() - 10..] {
        return None;
    }
    let cipher = Aes::new(&keys[..key_len])?;
    let mut plain = data.to_vec();
    for (number, block) in plain.chunks_mut(16).enumerate() {
        let mut pad = [0; 16];
        pad[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        cipher.encrypt(&mut pad);
        for (byte, pad) in block.iter_mut().zip(pad) {
            *byte ^= pad;
        }
    }
    Some((plain, method))
}
