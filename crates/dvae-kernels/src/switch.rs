//! The switch for fused operations.

use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether fused operations are used where they are available; `DVAE_KERNELS=off` in the environment turns
/// them off from the start.
pub fn enabled() -> bool {
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let off = std::env::var("DVAE_KERNELS").is_ok_and(|value| value == "off");
            set_enabled(!off);
            !off
        }
        state => state == ON,
    }
}

/// Turns the fused operations on or off for the whole process, for comparison or debugging.
pub fn set_enabled(on: bool) {
    STATE.store(if on { ON } else { OFF }, Ordering::Relaxed);
}
