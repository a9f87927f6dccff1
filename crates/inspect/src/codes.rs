//! QR codes in pictures (ISO/IEC 18004), read with bounds.

use std::io::Cursor;

use image::{ImageReader, Limits};

/// Pixels of pictures that are read of one message.
const MOST_PIXELS: u64 = 24 << 20;
/// Pixels of one picture; larger ones are photographs.
const LARGEST: u64 = 16 << 20;
/// Pictures of one message that are looked at.
const MOST_PICTURES: usize = 24;
/// The smallest code has 21 modules to a side.
const SMALLEST: u32 = 21;
/// A side that shows the finest code clearly; larger pictures are made smaller first.
const SIDE: u32 = 1_000;
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
        // Transparent is white: a code drawn on nothing stands on the page.
        let picture = if picture.color().has_alpha() {
            let mut page = image::RgbaImage::from_pixel(width, height, image::Rgba([255; 4]));
            image::imageops::overlay(&mut page, &picture.to_rgba8(), 0, 0);
            image::DynamicImage::ImageRgba8(page)
        } else {
            picture
        };
        let picture =
            if width.max(height) > SIDE { picture.thumbnail(SIDE, SIDE) } else { picture };
        Ok(search(&picture.to_luma8()))
    }
}

fn search(grey: &image::GrayImage) -> Vec<String> {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let pixels = grey.as_raw();
    for inverted in [false, true] {
        let flip = if inverted { 255 } else { 0 };
        let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            pixels.get(y * width + x).copied().unwrap_or(255) ^ flip
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
