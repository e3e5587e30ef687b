// C11's threads by POSIX threads, which the thread sanitizer knows: it does not see the former, and
// librdkafka, which uses them, crashes under it. Linked into what runs with -fsanitize=thread only.
// The C library's types are the same bytes.
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>

namespace {

using thread_work = std::pair<thrd_start_t, void*>;

int code_of(int posix) {
  return posix == 0           ? thrd_success
         : posix == ETIMEDOUT ? thrd_timedout
         : posix == EBUSY     ? thrd_busy
                              : thrd_error;
}
pthread_mutex_t* posix(mtx_t* m) {
  return reinterpret_cast<pthread_mutex_t*>(m);
}
pthread_cond_t* posix(cnd_t* c) {
  return reinterpret_cast<pthread_cond_t*>(c);
}

void* run_thread(void* argument) {
  const std::unique_ptr<thread_work> work{static_cast<thread_work*>(argument)};
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(work->first(work->second)));
}

} // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  auto work = std::make_unique<thread_work>(start, argument);
  const int outcome = pthread_create(thread, nullptr, run_thread, work.get());
  if (outcome == 0) (void)work.release();
  return code_of(outcome);
}
int thrd_join(thrd_t thread, int* value) {
  void* got = nullptr;
  const int outcome = pthread_join(thread, &got);
  if (value) *value = static_cast<int>(reinterpret_cast<std::intptr_t>(got));
  return code_of(outcome);
}
int thrd_detach(thrd_t thread) {
  return code_of(pthread_detach(thread));
}

int mtx_init(mtx_t* m, int type) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  if (type & mtx_recursive) pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
  return code_of(pthread_mutex_init(posix(m), &kind));
}
void mtx_destroy(mtx_t* m) {
  pthread_mutex_destroy(posix(m));
}
int mtx_lock(mtx_t* m) {
  return code_of(pthread_mutex_lock(posix(m)));
}
int mtx_trylock(mtx_t* m) {
  return code_of(pthread_mutex_trylock(posix(m)));
}
int mtx_unlock(mtx_t* m) {
  return code_of(pthread_mutex_unlock(posix(m)));
}

int cnd_init(cnd_t* c) {
  return code_of(pthread_cond_init(posix(c), nullptr));
}
void cnd_destroy(cnd_t* c) {
  pthread_cond_destroy(posix(c));
}
int cnd_signal(cnd_t* c) {
  return code_of(pthread_cond_signal(posix(c)));
}
int cnd_broadcast(cnd_t* c) {
  return code_of(pthread_cond_broadcast(posix(c)));
}
int cnd_wait(cnd_t* c, mtx_t* m) {
  return code_of(pthread_cond_wait(posix(c), posix(m)));
}
int cnd_timedwait(cnd_t* c, mtx_t* m, const timespec* until) {
  return code_of(pthread_cond_timedwait(posix(c), posix(m), until));
}
}
