//! A future that is kept, and polled beside others. Knows nothing of what it comes to.

use std::pin::Pin;

/// Something that is waited for beside everything else. It is polled whenever anything happens: what it has got by then is
/// not kept from others.
pub(crate) struct Wait<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Wait<T> {
    /// Nothing.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// What a future comes to.
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }

    /// Whether nothing is waited for.
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Gives it up.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Completes once it is there; never without one. Cancel-safe.
    pub(crate) async fn done(&mut self) -> T {
        let Some(future) = &mut self.0 else { return std::future::pending().await };
        let done = future.await;
        self.0 = None;
        done
    }
}
