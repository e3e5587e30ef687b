#!/usr/bin/env python3
"""No class of the product (storage, actors, net, cli) has more than MAX_METHODS methods or MAX_MEMBERS
data members, but for those of LARGE, with a reason each, and the methods of a class are defined in one
source.

What is counted:
- A method is a member function that is declared in the class. Constructors, the destructor, operators and
  accessors do not count. An accessor takes nothing, is const, and is defined in the class as one return.
- A data member is one of each object. What is static does not count: it is a constant.
- A type without methods that change it is data, not a class with behaviour: a message, a row of a table,
  options. It may have as many members as there is to say, and const methods that read them. So is a type
  NAME_metrics: a table of figures, of which each has a way to be counted.
- A nested type is counted by itself. Its members are none of those of the class around it.

`--sizes` prints what was counted, the largest first. Each run first plants classes that are too large, and
fails if they are not found."""
import collections
import pathlib
import re
import sys

LAYERS = ("storage", "actors", "net", "cli")
MAX_METHODS = 25
MAX_MEMBERS = 20
# Classes that are larger, and why each is one thing.
LARGE = {
    "link_multiplexer": "11 of its methods are those that CAF asks of a multiplexer, most of which fail",
    "membership": "pure; half of its methods are questions about one set of records, and it is searched as one",
    "shard_mover": "one machine, drawn above its code; half of its methods are questions about one view",
    "session": "one path through a request's bytes that calls its handler in between; its machines are objects",
}

# What is no code: comments, texts and characters, and lines of the preprocessor.
NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<end>[^(\s]*)\(.*?\)(?P=end)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<!\w)'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.DOTALL | re.MULTILINE)
CLASS = re.compile(r"(?<!enum )\b(?:class|struct)\s+(?:alignas\(\w+\)\s*)?(\w+)(?:\s+final)?\s*(?::[^;{()]*)?\{")
OPERATOR = re.compile(r"\boperator\s*(?:\(\s*\)|\[\]|bool\b|[^\s\w(]+)")
# Within a class, what stands in brackets is put aside: (…) becomes «n», {…} becomes ‹n›.
ACCESS = re.compile(r"(?:public|private|protected)\s*:(?!:)")
NO_MEMBER = re.compile(r"\s*(?:using|typedef|friend|static_assert|enum|class|struct|union)\b")
# A constructor with the list of what it makes.
MAKES = re.compile(r"«\d+»(?:\s*noexcept)?\s*:\s*(?:[\w:]+\s*[«‹]\d+[»›](?:\.\.\.)?\s*,?\s*)+?‹\d+›")
METHOD_OF = re.compile(r"\b(\w+)::~?\w+\s*«\d+»[^;=«‹]*(?:‹|:\s*\w)")

sizes = collections.namedtuple("sizes", "file line name methods changing members")


def blanks_of(found):
    """As long as what was found, so that lines stay."""
    return re.sub(r"[^\n]", " ", found.group())


def code_of(text):
    return NO_CODE.sub(blanks_of, text)


def block_end(code, start):
    """One past the brace that closes the one at `start`."""
    depth = 0
    for place in range(start, len(code)):
        depth += {"{": 1, "}": -1}.get(code[place], 0)
        if depth == 0:
            return place + 1
    raise ValueError("a brace is not closed")


def put_aside(text):
    """The text without what stands in brackets of any kind, and what that was."""
    kept = []

    def keep(left, right):
        def replace(found):
            kept.append(found.group()[1:-1])
            return f"{left}{len(kept) - 1}{right}"
        return replace

    text = OPERATOR.sub("operator_", text)
    for pattern, replace in ((r"\[\[[^\]]*\]\]", ""), (r"\{[^{}]*\}|\([^()]*\)", None), (r"<[^<>;]*>", "")):
        while True:
            if replace is None:
                less = re.sub(r"\{[^{}()]*\}", keep("‹", "›"), re.sub(r"\([^(){}]*\)", keep("«", "»"), text))
            else:
                less = re.sub(pattern, replace, text)
            if less == text:
                break
            text = less
    return text, kept


def declarations(text):
    """What stands in a class, from what put_aside() left of it."""
    place = 0
    while place < len(text):
        if found := re.compile(r"\s+").match(text, place) or ACCESS.match(text, place):
            place = found.end()
            continue
        ends = re.compile(r"[^;‹]*").match(text, place).end()
        head = text[place:ends]
        if ends < len(text) and text[ends] == "‹":
            makes = MAKES.search(text, place)
            if makes and makes.start() < ends and ";" not in text[place:makes.end()]:
                ends = makes.end() - 1
            elif is_method(head) and not re.match(r"\s*(?:enum|class|struct|union)\b", head):
                ends = text.index("›", ends)
            else:
                ends = text.find(";", ends)
        if ends < 0:
            ends = len(text)
        yield text[place:ends + 1]
        place = ends + 1


def is_method(declaration):
    """Of a declaration, or its head; a pointer to a function, `void «1»«2»`, is a data member."""
    before = re.split(r"[=‹]", declaration)[0]
    return bool(re.search(r"\w\s*«", re.sub(r"\b(?:alignas|decltype)\s*«\d+»|«\d+»\s*«\d+»", "", before)))


def is_accessor(declaration, kept):
    found = re.search(r"«(\d+)»\s*const(?:\s*noexcept)?(?:\s*override)?\s*‹(\d+)›$", declaration)
    if not found:
        return False
    taken, body = kept[int(found.group(1))], kept[int(found.group(2))]
    return not taken.strip() and bool(re.fullmatch(r"\s*return[^;]*;\s*", body))


def count(name, body):
    """Methods, those of them that may change an object, and data members."""
    methods = changing = members = 0
    text, kept = put_aside(body)
    for declaration in declarations(text):
        declaration = re.sub(r"^template\s*", "", declaration.strip())
        if NO_MEMBER.match(declaration) or not declaration.strip(";"):
            continue
        if not is_method(declaration):
            if not re.match(r"(?:inline\s+)?(?:static|constexpr)\b", declaration):
                members += 1 + len(re.findall(r",\s*\w+", re.sub(r"‹\d+›", "", declaration)))
            continue
        called = re.search(r"(~?\w+)\s*«", declaration).group(1)
        if called in (name, "~" + name, "operator_") or is_accessor(declaration, kept):
            continue
        methods += 1
        constant = re.search(r"»\s*const\b", declaration) or re.match(r"(?:constexpr\s+)?static\b", declaration)
        changing += not constant
    return methods, changing, members


def classes_of(file, text):
    code = code_of(text)
    for found in CLASS.finditer(code):
        start = found.end() - 1
        body = code[start + 1:block_end(code, start) - 1]
        yield sizes(file, code.count("\n", 0, found.start()) + 1, found.group(1), *count(found.group(1), body))


def defined_in(text):
    """The classes of which a source defines methods, wherever it stands in namespaces."""
    code = re.sub(r"\bnamespace\b[^{;=]*\{", blanks_of, code_of(text))
    for found in METHOD_OF.finditer(put_aside(code)[0]):
        yield found.group(1)


def files_of(root):
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*.[ch]pp")):
            yield str(path.relative_to(root)), path.read_text(encoding="utf-8")


def is_data(it):
    return not it.changing or it.name.endswith("_metrics")


def size_problems(found, large):
    over = [it for it in found
            if not is_data(it) and (it.methods > MAX_METHODS or it.members > MAX_MEMBERS)]
    for it in over:
        if it.name not in large:
            yield (f"{it.file}:{it.line}: {it.name} has {it.methods} methods (at most {MAX_METHODS}) and "
                   f"{it.members} data members (at most {MAX_MEMBERS}); let parts of it be objects")
    for name in sorted(large.keys() - {it.name for it in over}):
        yield f"tests/unit/class_sizes.py: {name} needs no exception any more"


def place_problems(files, classes):
    """Classes whose methods are in several sources."""
    sources = collections.defaultdict(set)
    for file, text in files:
        if file.endswith(".cpp"):
            for name in classes & set(defined_in(text)):
                sources[(file.split("/")[0], name)].add(file)
    for (_, name), where in sorted(sources.items()):
        if len(where) > 1:
            yield f"{name} has methods in {' and '.join(sorted(where))}; a class has one source"


def problems(files, large):
    found = [it for file, text in files for it in classes_of(file, text)]
    yield from size_problems(found, large)
    yield from place_problems(files, {it.name for it in found})


def planted_text(methods, members):
    """A class with all that a count may stumble over, which adds one method and three data members."""
    odd = """
      explicit planted(int a) noexcept : first_{a}, other_(f(a)) { if (a) { b(); } }
      ~planted();
      planted& operator=(const planted&) = delete;
      bool operator<(const planted& other) const { return first_ < other.first_; }
      int size() const { return first_; }  // void comment();
      template <class T> [[nodiscard]] std::map<T, std::function<void(int)>> odd(T a = T{1}) { return {}; }
      static constexpr int most = 4;
      using self = int;
      struct inner { int a; int b; void c(); };
      enum class state { one, two };
      friend void swap(planted& a, planted& b) { a.f(b); }
     private:
      int first_ = 0, other_{1};
      std::function<int(int)> call_ = [](int a) { return a; };
    """
    methods = "".join(f"  void method{i}(int a) const {{ f(); }}\n" for i in range(methods))
    members = "".join(f"  std::atomic<int> member{i}_{{f()}};\n" for i in range(members))
    return f"class planted final : public base {{\n public:\n{odd}{methods}{members}}};\n"


def self_test():
    """What is not found though it was planted."""
    def found(text, large=(), source="a.cpp", body=""):
        return list(problems([("net/a.hpp", text), ("net/" + source, body)], dict.fromkeys(large, "")))

    most = planted_text(MAX_METHODS - 1, MAX_MEMBERS - 3)
    body = "namespace n {\nplanted::planted(int a) : first_{a} {}\nint planted::size() const { return 1; }\n}\n"
    called = "namespace n {\nint f() { return planted::size(); }\nconst int g = planted::most(1);\n}\n"
    for text, wanted in (
            (found(most), 0), (found(planted_text(MAX_METHODS, 0)), 1), (found(planted_text(0, MAX_MEMBERS - 2)), 1),
            (found(planted_text(MAX_METHODS, 0), ["planted"]), 0), (found(most, ["planted"]), 1),
            (found("struct data {\n" + "  int a;\n" * 40 + "  int sum() const;\n};\n"), 0),
            (list(place_problems([("net/a.cpp", body), ("net/b.cpp", body)], {"planted"})), 1),
            (list(place_problems([("net/a.cpp", body), ("net/b.cpp", called)], {"planted"})), 0)):
        if len(text) != wanted:
            yield f"tests/unit/class_sizes.py: of planted classes {wanted} should be wrong, but: {text}"


def main():
    files = list(files_of(pathlib.Path(sys.argv[1])))
    if sys.argv[2:] == ["--sizes"]:
        found = [it for file, text in files for it in classes_of(file, text)]
        for it in sorted(found, key=lambda it: (-max(it.methods, it.members), it.name)):
            print(f"{it.methods:3} methods, {it.changing:3} changing, {it.members:3} members  "
                  f"{it.name} ({it.file}:{it.line})")
        return 0
    found = [*self_test(), *problems(files, LARGE)]
    for problem in found:
        print(problem)
    print(f"{len(files)} files, {len(found)} problems")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
