// Headers of others that most of this layer includes; compiled once.
#pragma once
#include <algorithm>
#include <atomic>
#include <boost/system/result.hpp>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
