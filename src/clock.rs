//! Time, as something that is handed in: tests own it, and the loopback world may run it faster.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Tells the time and waits. Safety never depends on it, only when something happens.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Waits for `length` of this clock's time.
    async fn sleep(&self, length: Duration);
    /// How long `length` of this clock's time really takes.
    fn real(&self, length: Duration) -> Duration {
        length
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    #[expect(clippy::disallowed_methods, reason = "the one place that waits")]
    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

/// A clock that runs `scale` times as fast since `origin`. Only the loopback world has one:
/// there an hour's TTL passes in a minute, for servers and deployer alike.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    /// When both clocks showed the same.
    pub origin: Timestamp,
    /// Seconds of this clock in one real second; at least 1.
    pub scale: f64,
}

#[async_trait]
impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        let real = SystemClock.now().duration_since(self.origin);
        self.origin + jiff::SignedDuration::from_secs_f64(real.as_secs_f64() * self.scale)
    }
    async fn sleep(&self, length: Duration) {
        SystemClock.sleep(self.real(length)).await;
    }
    fn real(&self, length: Duration) -> Duration {
        length.div_f64(self.scale.max(1.0))
    }
}
