//! The signed-in devices of an account.

use devpocket_shared::ids::DeviceId;

use super::{AccountError, Accounts};
use crate::domain::identity::Identity;
use crate::domain::user::Device;
use crate::store::Part;

impl Accounts {
    /// A part of the devices that are signed in, last seen first, and how many there are.
    pub async fn devices(&self, identity: &Identity, part: Part) -> Result<(Vec<Device>, i64), AccountError> {
        let (devices, total) = self.devices.devices(identity.user_id, part, self.clock.now()).await?;
        if total == 0 {
            // Whoever asks is one of them, unless its refresh token has ended, or the account is gone.
            self.known(identity).await?;
        }
        Ok((devices, total))
    }

    /// Signs one of them out: its terminals close here at once, elsewhere within a second.
    pub async fn sign_out_device(
        &self,
        identity: &Identity,
        device_id: DeviceId,
    ) -> Result<(), AccountError> {
        if !self.devices.sign_out(identity.user_id, device_id, self.clock.now()).await? {
            self.known(identity).await?;
            return Err(AccountError::UnknownDevice);
        }
        self.revoke(&[device_id]).await;
        Ok(())
    }
}
