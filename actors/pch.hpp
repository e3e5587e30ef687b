// Headers of others that most of this layer includes; compiled once.
#pragma once
#include "storage/pch.hpp"
#include <caf/all.hpp>
#include <caf/io/all.hpp>
