//! What of a picture is ink and what is paper, and whether there is a code's corner in it.

use super::grey::Grey;

/// A picture in two colours.
pub(super) struct Ink {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1 where there is ink, row by row.
    pub(super) dark: Vec<u8>,
}

impl Ink {
    /// Dark ink on light paper, and light ink on dark.
    ///
    /// A pixel is ink when it is 5 % darker (lighter) than those around it in its row, as a mean
    /// that fades with distance, from the left and from the right (P. D. Wellner, "Adaptive
    /// Thresholding for the DigitalDesk", 1993): light falls unevenly on what is photographed.
    pub(super) fn both(grey: &Grey) -> [Self; 2] {
        let &Grey { width, height, ref pixels } = grey;
        let mut dark = vec![0; width * height];
        let mut light = vec![0; width * height];
        // Pixels that the mean remembers, as a power of two: an eighth of the row or less.
        let fade = (width / 8).max(1).ilog2();
        let first = u32::from(pixels.first().copied().unwrap_or(255)) << fade;
        let (mut one, mut other) = (first, first);
        let (mut from_left, mut from_right) = (vec![0_u32; width], vec![0_u32; width]);
        // Twice as many 255ths of white as the two means together have.
        let white = (2 * 255_u32) << fade;
        for (y, row) in pixels.chunks_exact(width.max(1)).enumerate() {
            // Each mean turns round at the end of a row and comes back in the next.
            let (mut left, mut right) = if y % 2 == 0 { (one, other) } else { (other, one) };
            for x in 0..width {
                let back = width - 1 - x;
                left = left - (left >> fade) + u32::from(row[x]);
                right = right - (right >> fade) + u32::from(row[back]);
                from_left[x] = left;
                from_right[back] = right;
            }
            (one, other) = if y % 2 == 0 { (left, right) } else { (right, left) };
            let place = y * width..(y + 1) * width;
            let ink = dark[place.clone()].iter_mut().zip(&mut light[place]);
            let means = from_left.iter().zip(&from_right);
            for (((dark, light), (left, right)), &pixel) in ink.zip(means).zip(row) {
                let sum = left + right;
                let pixel = u32::from(pixel);
                *dark = u8::from((pixel << fade) * 200 < sum * 95);
                *light = u8::from(((255 - pixel) << fade) * 200 < white.saturating_sub(sum) * 95);
            }
        }
        [Self { width, height, dark }, Self { width, height, dark: light }]
    }

    /// Whether anywhere the ink is 1:1:3:1:1 across and down: the mark in a code's corners has
    /// that on every line through its middle, however it is turned (ISO/IEC 18004, 6.3.3).
    pub(super) fn has_corner(&self) -> bool {
        let mut rows = self.dark.chunks_exact(self.width.max(1)).enumerate();
        rows.any(|(y, row)| self.corner_in(row, y))
    }

    fn corner_in(&self, row: &[u8], y: usize) -> bool {
        let (mut runs, mut count) = ([0_usize; 5], 0_usize);
        let mut at = 0;
        while at < row.len() {
            let colour = row[at];
            // The next of the other colour: 1 and 0 are all there is.
            let run = memchr::memchr(colour ^ 1, &row[at..]).unwrap_or(row.len() - at);
            runs.rotate_left(1);
            runs[4] = run;
            count += 1;
            at += run;
            if colour == 1 && count >= 5 && is_corner(&runs) {
                let middle = at - runs[4] - runs[3] - runs[2].div_ceil(2);
                if self.is_corner_down(middle, y) {
                    return true;
                }
            }
        }
        false
    }

    /// Whether the column has the mark, too, with a run of the middle at this place.
    fn is_corner_down(&self, x: usize, y: usize) -> bool {
        let is = |y: usize, colour: u8| self.dark[y * self.width + x] == colour;
        let up = |from: usize, colour: u8| (0..from).rev().take_while(|&y| is(y, colour)).count();
        let down =
            |from: usize, colour: u8| (from..self.height).take_while(|&y| is(y, colour)).count();
        let above = up(y, 1);
        let below = down(y, 1);
        let white_above = up(y - above, 0);
        let white_below = down(y + below, 0);
        let ring_above = up(y - above - white_above, 1);
        let ring_below = down(y + below + white_below, 1);
        // Where the paper around a code is missing, its ring goes on: only too thin is wrong.
        let most = |ring: usize, white: usize| ring.min(white.max(1) * 2);
        is_corner(&[
            most(ring_above, white_above),
            white_above,
            above + below,
            white_below,
            most(ring_below, white_below),
        ])
    }
}

/// Whether five runs are as 1:1:3:1:1, each within three quarters of the unit, as much as
/// perspective and blur do to them.
fn is_corner(runs: &[usize; 5]) -> bool {
    // In quarters of the unit, so that a mark of few pixels is measured as finely as a large one.
    let unit = runs[0] + runs[1] + runs[3] + runs[4];
    let near = |run: usize, units: usize| {
        let (run, wanted) = (run * 16, units * 4 * unit);
        run.abs_diff(wanted) <= 3 * unit + 16
    };
    unit >= 4
        && near(runs[0], 1)
        && near(runs[1], 1)
        && near(runs[2], 3)
        && near(runs[3], 1)
        && near(runs[4], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A corner's mark with modules of so many pixels, on paper of so many around it.
    fn mark(module: usize, paper: u8, ink: u8) -> Grey {
        let side = 15 * module;
        let pixels = (0..side * side).map(|n| {
            let (x, y) = ((n % side) / module, (n / side) / module);
            let ring = x.abs_diff(7).max(y.abs_diff(7));
            if matches!(ring, 0 | 1 | 3) { ink } else { paper }
        });
        Grey { width: side, height: side, pixels: pixels.collect() }
    }

    #[test]
    fn a_corner_is_seen_dark_on_light_and_light_on_dark() {
        for module in [2, 3, 7, 40] {
            let [dark, _] = Ink::both(&mark(module, 250, 20));
            assert!(dark.has_corner(), "{module}");
            let [_, light] = Ink::both(&mark(module, 20, 250));
            assert!(light.has_corner(), "{module}");
        }
    }

    #[test]
    fn paper_stripes_and_noise_have_no_corner() {
        let picture = |pixel: fn(usize, usize) -> u8| {
            let pixels = (0..200 * 200).map(|n| pixel(n % 200, n / 200)).collect();
            Grey { width: 200, height: 200, pixels }
        };
        for pixel in [
            |_, _| 255,
            |x: usize, _| if (x / 5).is_multiple_of(2) { 0 } else { 255 },
            |x: usize, _| (x % 256) as u8,
            |x: usize, y: usize| if (x / 9 + y / 9).is_multiple_of(2) { 0 } else { 255 },
        ] as [fn(usize, usize) -> u8; 4]
        {
            assert!(Ink::both(&picture(pixel)).iter().all(|ink| !ink.has_corner()));
        }
        let nothing = Grey { width: 0, height: 0, pixels: Vec::new() };
        assert!(Ink::both(&nothing).iter().all(|ink| !ink.has_corner()));
    }
}
