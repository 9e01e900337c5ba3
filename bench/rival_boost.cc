// Boost's memory in a segment that processes share; a module of its own, loaded by heap.c.
#include <boost/interprocess/managed_shared_memory.hpp>

#include <string>
#include <unistd.h>

using namespace boost::interprocess;

namespace
{
constexpr std::size_t size_max = std::size_t(1) << 30;

class segment
{
  public:
    // The name goes at once: nothing is left behind however the process ends.
    segment()
        : name("/shoal-bench-" + std::to_string(getpid())),
          memory(create_only, name.c_str(), size_max)
    {
        shared_memory_object::remove(name.c_str());
    }

    std::string name;
    managed_shared_memory memory;
};

managed_shared_memory &memory()
{
    static segment only;

    return only.memory;
}
} // namespace

extern "C" __attribute__((visibility("default"))) void *boost_alloc(std::size_t size)
{
    return memory().allocate(size, std::nothrow);
}

extern "C" __attribute__((visibility("default"))) void boost_free(void *block)
{
    memory().deallocate(block);
}
