//! Being told to stop: signals become requests that the loop looks at.

use std::sync::Arc;

use tokio::sync::watch;

/// Hands a request to stop to whoever waits. Clones share it.
#[derive(Debug, Clone)]
pub struct Cancel {
    sender: Arc<watch::Sender<Option<String>>>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self { sender: Arc::new(watch::Sender::new(None)) }
    }
}

impl Cancel {
    /// Asks to stop; `by` says who or what: `SIGINT`.
    pub fn request(&self, by: &str) {
        self.sender.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(by.to_owned());
            }
            first
        });
    }

    /// By what it was requested, if it was.
    pub fn requested(&self) -> Option<String> {
        self.sender.borrow().clone()
    }

    /// Returns once it is requested.
    pub async fn wait(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives as long as `self`, so this only ends when a value is there.
        drop(receiver.wait_for(Option::is_some).await);
    }
}
