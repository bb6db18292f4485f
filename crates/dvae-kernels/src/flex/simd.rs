//! Functions compiled for several instruction sets, selected at run time.

use std::any::TypeId;

use pulp::{Scalar128b, Simd, WithSimd};

/// Defines a function whose body is compiled for AVX-512, for AVX2 with FMA, and for the target's
/// baseline (SSE2 on x86-64, NEON on aarch64), and runs the best that the machine has.
///
/// The body is ordinary code that the compiler vectorizes. It has no fused multiply-add, so all versions
/// compute the same bits.
macro_rules! vectorized {
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
pub(crate) use vectorized;

/// Runs an operation written for vectors of any length on the best instruction set of the machine.
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        let level = level();
        if let (Level::Avx512, Some(simd)) = (level, V4::try_new()) {
            return Simd::vectorize(simd, op);
        }
        if let (Level::Avx2 | Level::Avx512, Some(simd)) = (level, V3::try_new()) {
            return Simd::vectorize(simd, op);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        return Simd::vectorize(simd, op);
    }
    Simd::vectorize(Scalar128b, op)
}

/// Whether there are thirty-two vector registers rather than sixteen.
pub(crate) fn wide() -> bool {
    struct Wide;
    impl WithSimd for Wide {
        type Output = bool;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> bool {
            is_wide::<S>()
        }
    }
    dispatch(Wide)
}

pub(crate) const fn is_wide<S: Simd>() -> bool {
    S::REGISTER_COUNT >= 32
}

/// `a · b + c`, rounded once if the machine can do that, twice on the baseline of x86-64.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_e_f32s(a, b, c)
    }
}

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

    /// The highest allowed level; tests lower it.
    static CAP: AtomicU8 = AtomicU8::new(Level::Avx512 as u8);

    /// The best level that the machine has and the cap allows.
    #[inline]
    pub(crate) fn level() -> Level {
        let cap = CAP.load(Ordering::Relaxed);
        // Detection queries the processor once and caches the answer.
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

    /// Limits the level to `level` until the next call.
    #[cfg(test)]
    pub(crate) fn cap(level: Level) {
        CAP.store(level as u8, Ordering::Relaxed);
    }
}

#[cfg(all(target_arch = "x86_64", test))]
pub(crate) use detect::cap;
#[cfg(target_arch = "x86_64")]
pub(crate) use detect::level;
