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

/// When the intent of the work at hand was written down, by the machine's clocks: a request that belongs to it must leave soon
/// after that, or not at all.
#[derive(Debug, Clone, Copy)]
pub struct Announced {
    steady: std::time::Instant,
    wall: std::time::SystemTime,
}

/// How long after its announcement a request may still be sent. As long as one call may take: whoever was not stopped is not hit.
pub const SENT_WITHIN: Duration = Duration::from_secs(30);

tokio::task_local! {
    static ANNOUNCED: Announced;
}

impl Announced {
    /// Now: taken before the intent is written, so that it is never younger than that.
    #[expect(
        clippy::disallowed_methods,
        reason = "here the machine's clock is read; it bounds a request's life, whatever the world's pace"
    )]
    pub fn now() -> Self {
        Self { steady: std::time::Instant::now(), wall: std::time::SystemTime::now() }
    }

    /// Does `work`, whose requests were announced then.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        ANNOUNCED.scope(self, work).await
    }

    /// When the work at hand was announced; now, where nothing was.
    pub fn of_this_work() -> Self {
        ANNOUNCED.try_with(|announced| *announced).unwrap_or_else(|_| Self::now())
    }

    /// Whether a request of that work must not be sent any more. The steady clock stands still while a machine sleeps, the other
    /// one may be set back: whichever says more counts.
    pub fn is_stale(&self) -> bool {
        let now = Self::now();
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        now.steady.duration_since(self.steady).max(wall) > SENT_WITHIN
    }

    /// The same, so much earlier; for tests of what comes too late.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self { wall: self.wall.checked_sub(by).unwrap_or(self.wall), ..self }
    }
}
