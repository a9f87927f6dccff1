//! Keys of fixed size, and lists cut to fixed sizes.

use sha2::{Digest, Sha256};

/// 16 bytes that stand for an identifier from outside. The identifier itself has no bound on its
/// length and would be stored twice, in the row and in its index; this is enough to be unique
/// and makes the index a fifth of the size.
pub(crate) fn digest(parts: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length in front, so that ("ab", "c") and ("a", "bc") differ.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].to_vec()
}

/// Rows per statement. A few fixed sizes, because every size is another statement to parse and
/// to keep prepared; the largest stays below SQLite's 32,766 variables with 16 columns.
const SIZES: [usize; 4] = [512, 64, 8, 1];

/// Cuts a list into pieces of those sizes, the largest first.
pub(crate) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_into_pieces_loses_no_row() {
        for length in [0, 1, 7, 8, 9, 511, 512, 513, 1_100] {
            let rows: Vec<usize> = (0..length).collect();
            let back: Vec<usize> = pieces(&rows).flatten().copied().collect();
            assert_eq!(back, rows);
        }
    }

    #[test]
    fn two_identifiers_never_share_a_key_because_of_where_they_are_cut() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["ab"]).len(), 16);
    }
}
