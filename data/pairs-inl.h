// Sums of two products a lane, for the integer loops over pixels. Read once for every instruction set.
#if defined(STP_DATA_PAIRS_INL_) == defined(HWY_TARGET_TOGGLE)
#ifdef STP_DATA_PAIRS_INL_
#undef STP_DATA_PAIRS_INL_
#else
#define STP_DATA_PAIRS_INL_
#endif

#include <hwy/highway.h>

#include <bit>
#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace stp {
namespace {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Two values of 16 bits in the lanes of 32.
template <class D, class V = hn::Vec<D>>
V paired(D d, V low, V high) {
  return hn::Or(hn::And(low, hn::Set(d, 0xFFFF)), hn::ShiftLeft<16>(high));
}
constexpr std::int32_t paired(std::int16_t low, std::int16_t high) {
  return static_cast<std::int32_t>(static_cast<std::uint16_t>(low) |
                                   std::uint32_t{static_cast<std::uint16_t>(high)} << 16);
}
// The same of values[0] and values[1], in one load where the lower value lies first.
inline std::int32_t pair_at(const std::int16_t* values) {
  if constexpr (std::endian::native != std::endian::little) return paired(values[0], values[1]);
  std::int32_t both;
  std::memcpy(&both, values, sizeof both);
  return both;
}

// a.low b.low + a.high b.high: on x86 one instruction, where a product of 32 bits takes two that are slow.
template <class D, class V = hn::Vec<D>>
V pair_sums([[maybe_unused]] D d, V a, V b) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  const hn::Repartition<std::int16_t, D> halves;
  V none = hn::Zero(d);
  return hn::ReorderWidenMulAccumulate(d, hn::BitCast(halves, a), hn::BitCast(halves, b), hn::Zero(d), none);
#else
  const auto low = [](V x) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(x)); };
  const auto high = [](V x) { return hn::ShiftRight<16>(x); };
  return hn::Add(hn::Mul(low(a), low(b)), hn::Mul(high(a), high(b)));
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace stp
HWY_AFTER_NAMESPACE();

#endif  // per target
