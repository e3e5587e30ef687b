// What may stand behind a chunk's size (RFC 9112, section 7.1.1).
#include "net/http/chunk_extension.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace penstock {

TEST_CASE("chunk extensions: the grammar's forms") {
  for (const auto* good : {"",
                           ";a",
                           ";a=b",
                           ";a=\"\"",
                           ";a=\"b;c=d\"",
                           ";a;b",
                           ";a=b;c=\"d\";e",
                           " ;a",
                           "\t; a",
                           "; a = b",
                           ";a = \"b\"",
                           ";a=\"b\" ;c",
                           ";a=b\t;c",
                           ";a ;b",
                           ";a=\"\\\"\"",
                           ";a=\"\\\\\"",
                           ";a=\"\t\"",
                           ";a=\"\\\t\"",
                           ";a=\"\x80\xff\"",
                           ";!#$%&'*+-.^_`|~=1"}) {
    INFO(good);
    CHECK(is_chunk_extension(good));
  }
  for (const auto* bad : {" ",     "\t",      "a",        ";",         ";;",        ";=",
                          ";=a",   ";a=",     ";a= ",     ";a ",       ";a b",      ";a=b c",
                          ";a=b ", ";a=\"b",  ";a=\"b\\", ";a=\"b\" ", ";a=\"b\"c", ";a=\"b\"\"c\"",
                          ";a==b", ";a=b=c",  ",a",       ";a,b",      ";a=b,c",    ";\"a\"",
                          ";\x80", ";a=\x80", "\"a\"",    " a",        "=a",        ";a=b;",
                          ";a\\=b"}) {
    INFO(bad);
    CHECK_FALSE(is_chunk_extension(bad));
  }
}

TEST_CASE("chunk extensions: no control byte, in quotes or out of them, but a tab") {
  const std::vector<std::pair<std::string, std::string>> around{
      {";a=\"", "\""}, {";a=\"\\", "\""}, {";a=\"b", "c\""}, {";a=", "b"}, {";", "a"},
      {";a", "b"},     {";a", ""},        {"", ";a"},        {"", ""},     {";a=\"b\"", ""}};
  for (const auto& [before, after] : around)
    for (int byte = 0; byte < 0x80; ++byte) {
      if (byte == '\t' || (byte >= 0x20 && byte != 0x7f)) continue;
      INFO(before << byte);
      CHECK_FALSE(is_chunk_extension(before + static_cast<char>(byte) + after));
    }
}

} // namespace penstock
