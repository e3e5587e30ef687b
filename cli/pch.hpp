// Headers of others that most of this layer includes; compiled once.
#pragma once
#include "net/pch.hpp"
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <toml++/toml.h>
