//! What checking a password costs at least: argon2id with the api's parameters, on every core, nothing else. Must not know
//! who signs in.

use std::hint::black_box;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::anyhow;
use argon2::{Algorithm, Argon2, Params, Version};

use super::load::Load;

/// As `api/src/domain/password.rs` has them: KiB, passes, lanes.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hashes on every core.
pub fn load(lasting: Duration) -> anyhow::Result<Load> {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).map_err(|err| anyhow!("{err}"))?;
    Load::of(available_parallelism()?.get(), lasting, || {
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters.clone());
        Ok(move || {
            let mut hash = [0; 32];
            hasher
                .hash_password_into(black_box(b"a password"), b"sixteen bytes of", &mut hash)
                .map_err(|err| anyhow!("{err}"))?;
            black_box(hash);
            Ok(())
        })
    })
}
