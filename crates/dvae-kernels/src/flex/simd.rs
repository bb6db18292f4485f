//! One body, compiled for several instruction sets, chosen at run time.

/// Defines a function whose body is compiled for AVX-512, for AVX2 with FMA, and for the target's
/// baseline (SSE2 on x86-64, NEON on aarch64), and runs the best that the machine has.
///
/// The body is ordinary code for the compiler to vectorise. It holds no fused multiply-add, so all
/// versions compute the same bits.
macro_rules! vectorised {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        pub(crate) fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }
                match $crate::flex::simd::level() {
                    // SAFETY: the level says that the machine has these features.
                    $crate::flex::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::flex::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::flex::simd::Level::Baseline => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use vectorised;

/// Instruction sets that bodies are compiled for.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Baseline = 1,
    Avx2 = 2,
    Avx512 = 3,
}

#[cfg(target_arch = "x86_64")]
mod detect {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Level;

    /// The highest level that may be used: lowered by tests.
    static CAP: AtomicU8 = AtomicU8::new(Level::Avx512 as u8);

    /// The best level that the machine has and the cap allows.
    #[inline]
    pub(crate) fn level() -> Level {
        let cap = CAP.load(Ordering::Relaxed);
        // Detection reads the processor once and keeps the answer.
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if avx512 && cap >= Level::Avx512 as u8 {
            Level::Avx512
        } else if avx2 && cap >= Level::Avx2 as u8 {
            Level::Avx2
        } else {
            Level::Baseline
        }
    }

    /// Lets nothing above `level` be used, until it is called again.
    #[cfg(test)]
    pub(crate) fn cap(level: Level) {
        CAP.store(level as u8, Ordering::Relaxed);
    }
}

#[cfg(all(target_arch = "x86_64", test))]
pub(crate) use detect::cap;
#[cfg(target_arch = "x86_64")]
pub(crate) use detect::level;
