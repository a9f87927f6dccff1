use image::DynamicImage;

/// A picture without its colours, a byte a pixel, row by row.
pub(super) struct Grey {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl Grey {
    /// Transparent is white: a code drawn on nothing stands on the page.
    pub(super) fn of(picture: DynamicImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let pixels = match picture {
            DynamicImage::ImageLuma8(grey) => grey.into_raw(),
            DynamicImage::ImageLumaA8(grey) => {
                grey.as_raw().chunks_exact(2).map(|p| on_white(p[0], p[1])).collect()
            }
            DynamicImage::ImageRgb8(rgb) => {
                rgb.as_raw().chunks_exact(3).map(|p| brightness(p[0], p[1], p[2])).collect()
            }
            DynamicImage::ImageRgba8(rgba) => rgba
                .as_raw()
                .chunks_exact(4)
                .map(|p| on_white(brightness(p[0], p[1], p[2]), p[3]))
                .collect(),
            // Sixteen bits or floats a channel: rare enough to go the long way.
            other => {
                let rgba = other.into_rgba8();
                return Self::of(DynamicImage::ImageRgba8(rgba));
            }
        };
        Self { width, height, pixels }
    }

    /// The same picture with a longer side of about `side`, where it is half as much again or
    /// more: the mean of squares of whole pixels, which keeps straight edges straight.
    pub(super) fn at_most(self, side: usize) -> Self {
        let step = (self.width.max(self.height) + side / 2) / side;
        if step < 2 {
            return self;
        }
        let (width, height) = (self.width / step, self.height / step);
        let mut pixels = Vec::with_capacity(width * height);
        let mut sums = vec![0_u32; width];
        let area = (step * step) as u32;
        for rows in self.pixels.chunks_exact(self.width * step) {
            sums.fill(0);
            for row in rows.chunks_exact(self.width) {
                for (sum, square) in sums.iter_mut().zip(row.chunks_exact(step)) {
                    *sum += square.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
                }
            }
            pixels.extend(sums.iter().map(|sum| (sum / area) as u8));
        }
        Self { width, height, pixels }
    }
}

/// Of ITU-R BT.601, in 256ths.
fn brightness(red: u8, green: u8, blue: u8) -> u8 {
    let sum = u32::from(red) * 77 + u32::from(green) * 150 + u32::from(blue) * 29;
    (sum >> 8) as u8
}

/// How bright a pixel is on a white page, by how much of it covers the page.
fn on_white(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    ((grey * alpha + 255 * (255 - alpha)) / 255) as u8
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn a_code_on_nothing_stands_on_white() {
        let mut picture = RgbaImage::from_pixel(2, 1, Rgba([0, 0, 0, 0]));
        picture.put_pixel(1, 0, Rgba([0, 0, 0, 255]));
        let grey = Grey::of(DynamicImage::ImageRgba8(picture));
        assert_eq!(grey.pixels, [255, 0]);
    }

    #[test]
    fn a_large_picture_is_the_mean_of_its_squares() {
        let pixels: Vec<u8> = (0..7 * 5).map(|n| if n % 2 == 0 { 0 } else { 200 }).collect();
        let grey = Grey { width: 7, height: 5, pixels }.at_most(3);
        assert_eq!((grey.width, grey.height), (3, 2));
        assert_eq!(grey.pixels, [100; 6]);
    }
}
