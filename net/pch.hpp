// Headers of others that most of this layer includes; compiled once.
#pragma once
#include "actors/pch.hpp"
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
