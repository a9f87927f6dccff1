//! Lines of a record of ours, sorted by whose they are.

use std::{
    collections::HashMap,
    fs::File,
    hash::Hash,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use time::OffsetDateTime;

/// Lines of one owner that are written in one piece.
const BLOCK: usize = 4 << 10;
/// What waits in memory of all owners together until it is written.
const MOST_WAITING: usize = 8 << 20;
/// A file with less than so much that nobody wants any more is not written anew.
const WORTH_WRITING: u64 = 16 << 20;

/// Where lines are put, and found again by whose they are.
///
/// They lie in a file without a name, so that memory does not grow with them, nothing is left behind, and
/// nobody changes them who could not change this process. Of each block in the file this knows where it is.
pub(super) struct Shelf<K> {
    directory: PathBuf,
    /// Made for the first block.
    file: Option<File>,
    end: u64,
    /// Bytes in the file that are still wanted.
    wanted: u64,
    waiting: usize,
    owners: HashMap<K, Owner>,
    /// The last record (by its number) that was forgotten.
    forgotten: u64,
}

#[derive(Default)]
struct Owner {
    blocks: Vec<Block>,
    waiting: Vec<u8>,
    /// When the newest of what waits was written, in seconds, and its number.
    newest: (i64, u64),
}

#[derive(Clone, Copy)]
struct Block {
    offset: u64,
    bytes: u32,
    /// When the newest of its lines was written, in seconds, and its number.
    newest: (i64, u64),
}

impl<K: Clone + Eq + Hash> Shelf<K> {
    /// An empty one, whose file will be in that directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            file: None,
            end: 0,
            wanted: 0,
            waiting: 0,
            owners: HashMap::new(),
            forgotten: 0,
        }
    }

    /// The last record (by its number) that is not there any more: see [`Shelf::forget_older`].
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Puts a record's line there, with its line feed, or several that are forgotten together.
    pub(super) fn put(
        &mut self,
        owner: &K,
        (at, seq): (OffsetDateTime, u64),
        line: &[u8],
    ) -> io::Result<()> {
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.clone(), Owner::default());
        }
        if let Some(own) = self.owners.get_mut(owner) {
            own.waiting.extend_from_slice(line);
            own.newest = own.newest.max((at.unix_timestamp(), seq));
            self.waiting += line.len();
            if own.waiting.len() >= BLOCK {
                return self.write(owner);
            }
        }
        if self.waiting > MOST_WAITING {
            let all: Vec<K> = self.owners.keys().cloned().collect();
            all.iter().try_for_each(|owner| self.write(owner))?;
        }
        Ok(())
    }

    /// Takes everything of an owner away, to be put there anew.
    pub(super) fn clear(&mut self, owner: &K) {
        let Some(own) = self.owners.remove(owner) else { return };
        self.waiting -= own.waiting.len();
        self.wanted -= own.blocks.iter().map(|block| u64::from(block.bytes)).sum::<u64>();
    }

    /// Notes that a record was not put there, because it is too old.
    pub(super) fn forget(&mut self, seq: u64) {
        self.forgotten = self.forgotten.max(seq);
    }

    /// All lines of an owner, in the order in which they were put there.
    pub(super) fn lines(&self, owner: &K) -> io::Result<Vec<u8>> {
        let Some(own) = self.owners.get(owner) else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        for block in &own.blocks {
            self.read(block, &mut lines)?;
        }
        lines.extend_from_slice(&own.waiting);
        Ok(lines)
    }

    /// Forgets blocks of which all lines are older than that.
    pub(super) fn forget_older(&mut self, than: OffsetDateTime) -> io::Result<()> {
        let than = than.unix_timestamp();
        for own in self.owners.values_mut() {
            let old = own.blocks.iter().take_while(|block| block.newest.0 < than).count();
            for block in own.blocks.drain(..old) {
                self.wanted -= u64::from(block.bytes);
                self.forgotten = self.forgotten.max(block.newest.1);
            }
            if own.blocks.is_empty() && own.newest.0 < than {
                self.waiting -= own.waiting.len();
                self.forgotten = self.forgotten.max(own.newest.1);
                own.waiting = Vec::new();
            }
        }
        self.owners.retain(|_, own| !own.blocks.is_empty() || !own.waiting.is_empty());
        if self.end - self.wanted > self.wanted.max(WORTH_WRITING) {
            self.write_anew()?;
        }
        Ok(())
    }

    fn write(&mut self, owner: &K) -> io::Result<()> {
        let Some(own) = self.owners.get_mut(owner) else { return Ok(()) };
        if own.waiting.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        file.write_all_at(&own.waiting, self.end)?;
        let bytes = u32::try_from(own.waiting.len()).map_err(io::Error::other)?;
        own.blocks.push(Block { offset: self.end, bytes, newest: own.newest });
        self.end += u64::from(bytes);
        self.wanted += u64::from(bytes);
        self.waiting -= own.waiting.len();
        // Of tens of thousands, most have nothing to say for hours.
        own.waiting = Vec::new();
        Ok(())
    }

    fn read(&self, block: &Block, into: &mut Vec<u8>) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let begin = into.len();
        into.resize(begin + block.bytes as usize, 0);
        file.read_exact_at(&mut into[begin..], block.offset)
    }

    /// Gives the room back that forgotten blocks take.
    fn write_anew(&mut self) -> io::Result<()> {
        let fresh = tempfile::tempfile_in(&self.directory)?;
        let (mut end, mut bytes) = (0, Vec::new());
        let mut places = Vec::new();
        for (owner, own) in &self.owners {
            let mut blocks = own.blocks.clone();
            for block in &mut blocks {
                bytes.clear();
                self.read(block, &mut bytes)?;
                fresh.write_all_at(&bytes, end)?;
                block.offset = end;
                end += u64::from(block.bytes);
            }
            places.push((owner.clone(), blocks));
        }
        for (owner, blocks) in places {
            if let Some(own) = self.owners.get_mut(&owner) {
                own.blocks = blocks;
            }
        }
        (self.file, self.end, self.wanted) = (Some(fresh), end, end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const BEGIN: OffsetDateTime = time::macros::datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn every_owner_finds_its_own_lines_in_their_order_and_not_those_that_are_old() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(directory.path());
        let filling = "x".repeat(400);
        let line = |owner: u32, number: i64| format!("{owner} {number} {filling}\n");
        for number in 0..50_000 {
            let owner = u32::try_from(number % 7).unwrap();
            let at = BEGIN + Duration::minutes(number);
            let place = (at, number.unsigned_abs());
            shelf.put(&owner, place, line(owner, number).as_bytes()).unwrap();
        }
        let numbers = |shelf: &Shelf<u32>, owner: u32| -> Vec<i64> {
            let lines = String::from_utf8(shelf.lines(&owner).unwrap()).unwrap();
            lines
                .lines()
                .map(|line| {
                    let mut words = line.split(' ');
                    assert_eq!(words.next(), Some(owner.to_string().as_str()));
                    words.next().unwrap().parse().unwrap()
                })
                .collect()
        };
        for owner in 0..7 {
            let all: Vec<i64> =
                (0..50_000).filter(|number| number % 7 == i64::from(owner)).collect();
            assert_eq!(numbers(&shelf, owner), all);
        }
        assert!(shelf.lines(&7).unwrap().is_empty());

        let whole = shelf.end;
        let since = 45_000;
        shelf.forget_older(BEGIN + Duration::minutes(since)).unwrap();
        assert!(shelf.end < whole / 5, "{} of {whole}", shelf.end);
        for owner in 0..7 {
            let left = numbers(&shelf, owner);
            let wanted = (since..50_000).filter(|number| number % 7 == i64::from(owner));
            assert!(left.ends_with(&wanted.collect::<Vec<_>>()), "a line that is wanted is gone");
            assert!(left[0] > since - 200, "{} is still there", left[0]);
            assert!(shelf.forgotten() < left[0].unsigned_abs() + 7, "forgotten more than it says");
        }
        shelf.clear(&3);
        assert!(numbers(&shelf, 3).is_empty() && !numbers(&shelf, 4).is_empty());
        shelf.put(&3, (BEGIN, 50_001), b"3 1 \n").unwrap();
        assert_eq!(numbers(&shelf, 3), [1]);
        shelf.clear(&3);
        shelf.forget_older(BEGIN + Duration::minutes(60_000)).unwrap();
        assert!(shelf.owners.is_empty());
        assert_eq!((shelf.wanted, shelf.waiting), (0, 0));
        assert_eq!(shelf.forgotten(), 49_999);
    }
}
