/* operator new, whatever library brings another one: counted like malloc. */
#include <cstdlib>
#include <new>

extern "C" {
#include "allocations.h"
}

namespace
{

void *checked(void *memory)
{
    if (memory == nullptr)
        std::abort();
    return memory;
}

std::size_t number(std::align_val_t alignment) { return static_cast<std::size_t>(alignment); }

} // namespace

void *operator new(std::size_t bytes)
{
    return checked(allocations_make(0, bytes, __builtin_return_address(0)));
}
void *operator new[](std::size_t bytes)
{
    return checked(allocations_make(0, bytes, __builtin_return_address(0)));
}
void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept
{
    return allocations_make(0, bytes, __builtin_return_address(0));
}
void *operator new[](std::size_t bytes, const std::nothrow_t &) noexcept
{
    return allocations_make(0, bytes, __builtin_return_address(0));
}
void *operator new(std::size_t bytes, std::align_val_t alignment)
{
    return checked(allocations_make(number(alignment), bytes, __builtin_return_address(0)));
}
void *operator new[](std::size_t bytes, std::align_val_t alignment)
{
    return checked(allocations_make(number(alignment), bytes, __builtin_return_address(0)));
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
