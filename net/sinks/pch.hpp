// Headers of others that most sinks include; compiled once.
#pragma once
#include "storage/pch.hpp"
#include <boost/json.hpp>
#include <simdjson.h>
