// What jemalloc reads when the program starts (jemalloc(3), "TUNING"). Large pages: the limiter's
// tables are visited at random, and with small ones half of a visit is spent on finding the page.
// As many arenas as processors: each holds on to some memory.
extern "C" {
[[gnu::used, gnu::visibility("default")]] const char* malloc_conf =
    "thp:always,percpu_arena:percpu";
}
