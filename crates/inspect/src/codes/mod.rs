//! QR codes in pictures (ISO/IEC 18004), read with bounds.
//!
//! Nearly all pictures of mail have none, and looking for codes is most of what a message with
//! pictures costs. So a picture becomes grey and small before anything else, black and white once
//! for dark codes and light ones, and only where a line shows the corner mark of a code, across
//! and down, the decoder is asked.

mod grey;
mod ink;

use std::io::Cursor;

use image::{ImageReader, Limits};

use self::{grey::Grey, ink::Ink};

/// Pixels of pictures that are read of one message.
const MOST_PIXELS: u64 = 24 << 20;
/// Pixels of one picture; larger ones are photographs.
const LARGEST: u64 = 16 << 20;
/// Pictures of one message that are looked at.
const MOST_PICTURES: usize = 24;
/// The smallest code has 21 modules to a side.
const SMALLEST: u32 = 21;
/// A side that shows the finest code clearly; pictures of half as much again or more are made
/// smaller first.
const SIDE: usize = 1_000;
/// Bytes that decoders may take for one picture.
const MEMORY: u64 = 128 << 20;

/// What of a message's pictures may still be read.
#[derive(Debug)]
pub(crate) struct Pictures {
    pixels: u64,
    count: usize,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { pixels: MOST_PIXELS, count: MOST_PICTURES }
    }
}

/// A picture was not searched: it is larger than what is read, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotSearched;

impl Pictures {
    /// The texts of the codes in a picture. What is no picture has none.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Vec<String>, NotSearched> {
        let reader = || ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok();
        let size = reader().and_then(|reader| reader.into_dimensions().ok());
        let Some((width, height)) = size else { return Ok(Vec::new()) };
        if width < SMALLEST || height < SMALLEST {
            return Ok(Vec::new());
        }
        // Rules and banners: a code is about as wide as it is high, and in a page of text it is
        // not an eighth of it.
        if width / height >= 8 || height / width >= 8 {
            return Ok(Vec::new());
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > LARGEST.min(self.pixels) || self.count == 0 {
            return Err(NotSearched);
        }
        self.pixels -= pixels;
        self.count -= 1;
        let Some(mut reader) = reader() else { return Ok(Vec::new()) };
        let mut limits = Limits::default();
        limits.max_alloc = Some(MEMORY);
        reader.limits(limits);
        let Ok(picture) = reader.decode() else { return Ok(Vec::new()) };
        Ok(search(&Grey::of(picture).at_most(SIDE)))
    }
}

fn search(grey: &Grey) -> Vec<String> {
    for ink in Ink::both(grey).iter().filter(|ink| ink.has_corner()) {
        let mut prepared =
            rqrr::PreparedImage::prepare_from_bitmap(ink.width, ink.height, |x, y| {
                ink.dark.get(y * ink.width + x).is_some_and(|&dark| dark != 0)
            });
        let texts: Vec<String> = prepared
            .detect_grids()
            .into_iter()
            .filter_map(|grid| grid.decode().ok())
            .map(|(_, text)| text)
            .filter(|text| !text.trim().is_empty())
            .collect();
        if !texts.is_empty() {
            return texts;
        }
    }
    Vec::new()
}
