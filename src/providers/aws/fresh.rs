//! A request is sent soon after it was announced, or not at all.
//!
//! How late a write can arrive is known from its signature, and that is made after the intent was written down: a process that is
//! stopped between the two (a laptop that sleeps, a machine that is moved) would sign anew whenever it wakes, perhaps long after
//! another has taken its run over. So the last thing before a request leaves, after it is signed, is to look at the time. A process
//! that is stopped after that look sends what it has signed before, and the signature ends that.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::clock::Announced;

/// Lets a request pass while its announcement is fresh.
#[derive(Debug)]
pub(super) struct Fresh(Announced);

impl Fresh {
    /// For a request that the work at hand is about to send.
    pub(super) fn now() -> Self {
        Self(Announced::of_this_work())
    }
}

/// It was not sent.
#[derive(Debug, thiserror::Error)]
#[error("it was announced too long ago, this process must have been stopped in between; nothing was sent")]
pub(super) struct Stale;

impl Intercept for Fresh {
    fn name(&self) -> &'static str {
        "fresh"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.is_stale() { Err(Stale.into()) } else { Ok(()) }
    }
}
