#include "cli/config/memory_limit.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <fstream>

using namespace penstock;
namespace fs = std::filesystem;

namespace {

/// The files that read_memory_limit() looks at, below a directory of the test's own.
class fake_machine {
 public:
  fake_machine() {
    std::string name = (fs::temp_directory_path() / "penstock-memory-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root_ = name;
    put("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree:         100 kB\n");
  }
  ~fake_machine() { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) const {
    const auto place = root_ / fs::path{path}.relative_path();
    fs::create_directories(place.parent_path());
    std::ofstream{place} << text;
  }
  void mount(const std::string& text) const { put("/proc/self/mountinfo", text); }
  memory_limit read() const { return read_memory_limit(root_); }

 private:
  fs::path root_;
};

constexpr auto v2_mount = "30 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr auto v1_mount =
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "34 31 0:31 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
constexpr std::uint64_t limit_test_mib = 1ull << 20;

} // namespace

TEST_CASE("without a control group the machine's memory is the limit") {
  const fake_machine machine;
  CHECK(machine.read().bytes == 8192 * limit_test_mib);
  CHECK(machine.read().from == memory_limit::origin::machine);
}

TEST_CASE("the smallest memory.max on the way up counts (version 2)") {
  const fake_machine machine;
  machine.mount(v2_mount);
  machine.put("/proc/self/cgroup", "0::/system.slice/penstock.service\n");
  machine.put("/sys/fs/cgroup/system.slice/penstock.service/memory.max", "536870912\n");
  CHECK(machine.read().bytes == 512 * limit_test_mib);
  CHECK(machine.read().from == memory_limit::origin::cgroup);
  machine.put("/sys/fs/cgroup/system.slice/memory.max", "268435456\n");
  CHECK(machine.read().bytes == 256 * limit_test_mib);
  machine.put("/sys/fs/cgroup/system.slice/penstock.service/memory.max", "max\n");
  CHECK(machine.read().bytes == 256 * limit_test_mib);
  machine.put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
  CHECK(machine.read().from == memory_limit::origin::machine);
}

TEST_CASE("the same with memory.limit_in_bytes (version 1), where no limit is a large number") {
  const fake_machine machine;
  machine.mount(v1_mount);
  machine.put("/proc/self/cgroup", "9:name=systemd:/\n4:memory,hugetlb:/a/b\n1:cpu:/other\n0::/\n");
  machine.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  machine.put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "134217728\n");
  machine.put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(machine.read().bytes == 128 * limit_test_mib);
  machine.put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(machine.read().from == memory_limit::origin::machine);
}

TEST_CASE("with both versions mounted the smaller limit counts") {
  const fake_machine machine;
  machine.mount(std::string{v1_mount} + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n");
  machine.put("/proc/self/cgroup", "4:memory:/a\n0::/b\n");
  machine.put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n");
  machine.put("/sys/fs/cgroup/unified/b/memory.max", "67108864\n");
  CHECK(machine.read().bytes == 64 * limit_test_mib);
}

TEST_CASE("in a container that shows its own group at the top, its limit is found") {
  const fake_machine machine;
  SECTION("the path is the host's, and so is what is said of the mount") {
    machine.mount("35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    machine.put("/proc/self/cgroup", "4:memory:/docker/abc\n");
  }
  SECTION("the path is the host's, which is not to be seen") {
    machine.mount("35 31 0:32 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    machine.put("/proc/self/cgroup", "4:memory:/docker/abc\n");
  }
  SECTION("the process was moved out of what is mounted") {
    machine.mount("35 31 0:32 /docker/xyz /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    machine.put("/proc/self/cgroup", "4:memory:/docker/abc\n");
  }
  machine.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
  CHECK(machine.read().bytes == 256 * limit_test_mib);
}

TEST_CASE("what can't be read or makes no sense sets no limit") {
  const fake_machine machine;
  machine.mount("rubbish\n30 23 0:28 / /sys - \n" + std::string{v2_mount});
  SECTION("no group") {}
  SECTION("an empty line") {
    machine.put("/proc/self/cgroup", "\n:\n");
  }
  SECTION("no file") {
    machine.put("/proc/self/cgroup", "0::/gone\n");
  }
  SECTION("no number") {
    machine.put("/proc/self/cgroup", "0::/a\n");
    machine.put("/sys/fs/cgroup/a/memory.max", "12x\n");
    machine.put("/sys/fs/cgroup/memory.max", "\n");
  }
  CHECK(machine.read().bytes == 8192 * limit_test_mib);
}
