//! A clock that stands still until a test moves it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use modelswap::clock::Clock;
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct HandClock(watch::Sender<Timestamp>);

impl HandClock {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new("2026-01-01T00:00:00Z".parse().unwrap()))
    }

    pub(crate) fn advance(&self, length: Duration) {
        self.0.send_modify(|now| *now += length);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep(&self, length: Duration) {
        let until = self.now() + length;
        // The sender is this clock itself, so it cannot be gone.
        drop(self.0.subscribe().wait_for(|now| *now >= until).await);
    }
}
