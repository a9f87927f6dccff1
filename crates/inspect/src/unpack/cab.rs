//! Cabinets (MS-CAB): stored and MSZIP folders are unpacked; of LZX and Quantum the names are
//! listed.

use super::{
    Source,
    bytes::{c_string, place_le, slice, u16_le},
    contents::Contents,
    inflate::{Wrapping, inflate},
    zip,
};

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    if read_files(source.bytes, contents).is_none() {
        contents.note("the archive is damaged: its rest was not inspected");
    }
}

fn read_files(bytes: &[u8], contents: &mut Contents<'_>) -> Option<()> {
    let folders = usize::from(u16_le(bytes, 26)?);
    let files = usize::from(u16_le(bytes, 28)?);
    let flags = u16_le(bytes, 30)?;
    let mut at = 36;
    let (mut folder_reserve, mut data_reserve) = (0, 0);
    if flags & 4 != 0 {
        at = 40 + usize::from(u16_le(bytes, 36)?);
        folder_reserve = usize::from(*bytes.get(38)?);
        data_reserve = usize::from(*bytes.get(39)?);
    }
    for bit in [1, 2] {
        if flags & bit != 0 {
            for _ in 0..2 {
                at += memchr::memchr(0, bytes.get(at..)?)? + 1;
            }
        }
    }
    let mut unpacked = Vec::new();
    for index in 0..folders {
        let folder = at + index * (8 + folder_reserve);
        unpacked.push(folder_data(bytes, folder, data_reserve, contents));
    }
    let mut at = place_le(bytes, 16)?;
    for _ in 0..files {
        let size = place_le(bytes, at)?;
        let offset = place_le(bytes, at + 4)?;
        let folder = usize::from(u16_le(bytes, at + 8)?);
        let name = c_string(bytes, at + 16).into_owned();
        at += 16 + memchr::memchr(0, bytes.get(at + 16..)?)? + 1;
        match unpacked.get(folder) {
            Some(Some(data)) if offset < data.len() => {
                contents.piece(name, super::bytes::prefix(data, offset, size));
            }
            _ => {
                zip::list(&name, contents);
                contents.note(format!("'{name}' is packed in a way that is not inspected"));
            }
        }
    }
    Some(())
}

/// The content of a folder; `None` when it is packed in a way that is not read.
fn folder_data(
    bytes: &[u8],
    folder: usize,
    reserve: usize,
    contents: &mut Contents<'_>,
) -> Option<Vec<u8>> {
    let mut at = place_le(bytes, folder)?;
    let blocks = u16_le(bytes, folder + 4)?;
    let method = u16_le(bytes, folder + 6)? & 0xF;
    if method > 1 {
        return None;
    }
    let mut out = Vec::new();
    for _ in 0..blocks {
        let (Some(packed_len), Some(_)) = (u16_le(bytes, at + 4), u16_le(bytes, at + 6)) else {
            break;
        };
        let Some(packed) = slice(bytes, at + 8 + reserve, usize::from(packed_len)) else { break };
        at += 8 + reserve + usize::from(packed_len);
        if contents.room() == 0 {
            break;
        }
        if method == 0 {
            contents.spend(packed.len());
            out.extend_from_slice(packed);
        } else {
            // Blocks may refer to the one in front of them. That is undone only where a block
            // stands alone; otherwise what comes out ends there.
            let room = contents.room().min(32 << 10);
            let block = inflate(packed.strip_prefix(b"CK").unwrap_or(packed), Wrapping::Raw, room);
            contents.spend(block.bytes.len());
            out.extend_from_slice(&block.bytes);
            if !block.complete {
                break;
            }
        }
    }
    Some(out)
}
