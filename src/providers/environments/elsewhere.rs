//! A process on another host: nothing can be said of it from here, and that must be said.

use async_trait::async_trait;
use serde_json::Value;

use super::{ProviderError, Register, Running};
use crate::ids::EnvironmentName;
use crate::providers::Late;

/// An environment whose process belongs to another host. Without its record it would look stopped here, which is no answer.
#[derive(Debug)]
pub struct Elsewhere {
    /// Which environment.
    pub environment: EnvironmentName,
    /// Where its process is.
    pub host: String,
}

impl Elsewhere {
    fn refused(&self) -> ProviderError {
        ProviderError::Rejected {
            call: format!("looking after the process of `{}`", self.environment),
            why: format!(
                "it belongs to the host {}; run the same command there, or stop and start it by hand",
                self.host
            ),
        }
    }
}

#[async_trait]
impl Register for Elsewhere {
    type Value = Running;

    fn key(&self) -> String {
        format!("process of {} on {}", self.environment, self.host)
    }

    /// Nothing is ever changed.
    fn late(&self) -> Option<Late> {
        None
    }
    async fn read(&self) -> Result<Running, ProviderError> {
        Err(self.refused())
    }
    async fn swap(&self, _expected: &Running, _new: &Running) -> Result<Value, ProviderError> {
        Err(self.refused())
    }
    async fn settled(
        &self,
        _value: &Running,
        _receipt: Option<&Value>,
    ) -> Result<super::super::Settled, ProviderError> {
        Err(self.refused())
    }
    fn show(&self, value: &Running) -> String {
        super::show(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_on_another_host_is_never_called_stopped() {
        let away = Elsewhere { environment: EnvironmentName::new("a").unwrap(), host: "gpu-a".to_owned() };
        let why = away.read().await.unwrap_err().to_string();
        assert!(why.contains("belongs to the host gpu-a"), "{why}");
        assert!(away.settled(&Running::Stopped, None).await.is_err());
    }
}
