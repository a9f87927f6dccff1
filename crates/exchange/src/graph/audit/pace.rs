//! How often the logs may be asked.

use std::{collections::VecDeque, time::Duration};

use tokio::{sync::Mutex, time::Instant};

/// Requests in a window, of one application in one tenant (Graph: "Microsoft Graph service-specific
/// throttling limits", identity and access reports).
const MOST: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);

/// Lets requests to the reports out as the provider takes them in. It refuses more, and counts those
/// that it refused.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<Instant>>);

impl Pace {
    /// Waits for the next request's turn.
    pub(super) async fn turn(&self) {
        let mut sent = self.0.lock().await;
        if sent.len() == MOST
            && let Some(first) = sent.pop_front()
        {
            tokio::time::sleep_until(first + WINDOW).await;
        }
        sent.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_ten_seconds_see_more_than_five_requests() {
        let (pace, mut turns) = (Pace::default(), Vec::new());
        for _ in 0..17 {
            pace.turn().await;
            turns.push(Instant::now());
        }
        assert!(turns.windows(MOST + 1).all(|some| some[MOST] - some[0] >= WINDOW));
        assert!(turns[16] - turns[0] < 4 * WINDOW, "it waits for longer than it has to");
    }
}
