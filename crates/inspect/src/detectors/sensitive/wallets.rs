//! Addresses of cryptocurrencies.

use sha2::{Digest, Sha256};

/// Base58Check (Bitcoin, Litecoin, Dogecoin, Dash, Tron) and Bech32 (BIP 173, BIP 350).
pub(super) const SHAPES: &[&str] = &["X{26,35}", "X{42,43}", "X{62,63}"];

/// Whether the address's own check is right.
pub(super) fn check(address: &[u8]) -> bool {
    match address {
        [b'b', b'c', b'1', rest @ ..] => bech32(b"bc", rest),
        [b'B', b'C', b'1', ..] => check(&address.to_ascii_lowercase()),
        [b'l', b't', b'c', b'1', rest @ ..] => bech32(b"ltc", rest),
        [b'1' | b'3' | b'L' | b'M' | b'D' | b'X' | b'T', ..] => base58check(address),
        _ => false,
    }
}

/// Whether these are 20 bytes in hexadecimal, as Ethereum writes them.
pub(super) fn ethereum(address: &[u8]) -> bool {
    address.strip_prefix(b"0X").is_some_and(|digits| {
        digits.iter().all(u8::is_ascii_hexdigit) && !super::checks::all_same(digits)
    })
}

/// 21 bytes in base 58, and the first four bytes of their double SHA-256 behind them.
fn base58check(address: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const LENGTH: usize = 25;
    let mut bytes = [0_u8; LENGTH];
    for c in address {
        let Some(digit) = ALPHABET.iter().position(|a| a == c) else { return false };
        let mut carry = digit as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xFF) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (body, sum) = bytes.split_at(LENGTH - 4);
    // The versions of the networks named above.
    matches!(body[0], 0x00 | 0x05 | 0x1e | 0x30 | 0x32 | 0x41 | 0x4c)
        && Sha256::digest(Sha256::digest(body))[..4] == *sum
}

/// The polymod check of BIP 173, with the constant of BIP 350 for later versions.
fn bech32(prefix: &[u8], data: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let mut sum = 1_u32;
    let mut feed = |value: u32| {
        const GENERATOR: [u32; 5] =
            [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ value;
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                sum ^= generator;
            }
        }
    };
    prefix.iter().for_each(|&c| feed(u32::from(c) >> 5));
    feed(0);
    prefix.iter().for_each(|&c| feed(u32::from(c) & 31));
    for c in data {
        let Some(value) = ALPHABET.iter().position(|a| a == c) else { return false };
        feed(value as u32);
    }
    matches!(sum, 1 | 0x2bc8_30a3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_one_character_wrong_is_none() {
        // The examples of BIP 173 and of Bitcoin's first block.
        for address in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        ] {
            assert!(check(address.as_bytes()), "{address}");
            let mut wrong = address.as_bytes().to_vec();
            wrong[10] = if wrong[10] == b'5' { b'6' } else { b'5' };
            assert!(!check(&wrong), "{address}");
        }
        assert!(ethereum(b"0X52908400098527886E0F7030069857D2E4169EE7"));
        assert!(!ethereum(b"0X0000000000000000000000000000000000000000"));
    }
}
