# SPDX-License-Identifier: MPL-2.0
# The few helpers every folder uses. A layer is a static library of position-independent objects; what it may include is what it links.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq>=4.3)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
# Nothing that is installed links czmq or msgpack-c. czmq is for tests, which hold key files and protocol against it; msgpack-c for tests,
# an example and a benchmark, of which the last two are left out without it. It changed its name with every major version; the C API stayed.
if(BF_TESTS)
  pkg_check_modules(CZMQ QUIET IMPORTED_TARGET libczmq>=4.2)
endif()
foreach(name msgpack-c msgpackc msgpack)
  if(NOT TARGET PkgConfig::MSGPACK)     # not MSGPACK_FOUND: it is in the cache already when CMake runs again, the target is not
    pkg_check_modules(MSGPACK QUIET IMPORTED_TARGET ${name})
  endif()
endforeach()
if(BF_TESTS AND NOT (TARGET PkgConfig::CZMQ AND TARGET PkgConfig::MSGPACK))
  message(FATAL_ERROR "the tests need czmq (4.2 or later) and msgpack-c: install libczmq-dev and libmsgpack-dev, or configure with "
    "-DBF_TESTS=OFF")
endif()

if(BF_HOUSE)
  add_compile_options(-fcallgraph-info -finstrument-functions)
endif()
# Fat objects, also where a user's own flags ask for optimisation at link time: who links an archive without the compiler's help gets the
# usual code.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-ffat-lto-objects)
endif()
if(BF_LTO AND BF_SANITIZE)
  message(FATAL_ERROR "BF_LTO and BF_SANITIZE exclude each other: sanitizers look at the code as it is written. Configure with -DBF_LTO=OFF")
elseif(BF_LTO AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-flto=auto)
  add_link_options(-flto=auto)
elseif(BF_LTO)
  message(FATAL_ERROR "BF_LTO is for GCC: this compiler leaves no usual code in the objects of libbfork.a")
endif()

add_library(bf_flags INTERFACE)
target_compile_options(bf_flags INTERFACE -Wall -Wextra $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes
  -Werror=implicit-function-declaration>
  -Wshadow -Wpointer-arith -Wwrite-strings -Wundef -fno-common -fno-strict-aliasing)
target_compile_definitions(bf_flags INTERFACE _GNU_SOURCE BF_VERSION="${PROJECT_VERSION}")
target_include_directories(bf_flags INTERFACE ${PROJECT_SOURCE_DIR}/common ${PROJECT_SOURCE_DIR}/libclient/include)
if(BF_WERROR)
  target_compile_options(bf_flags INTERFACE -Werror)
endif()
if(BF_SANITIZE)
  add_compile_options(-fsanitize=${BF_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BF_SANITIZE})
  target_compile_definitions(bf_flags INTERFACE BF_SANITIZED=1)
endif()

# bf_layer(name LINK a b …): all *.c of this folder (not of folders below) as a static library.
function(bf_layer name)
  cmake_parse_arguments(A "" "" "LINK;SOURCES" ${ARGN})
  if(NOT A_SOURCES)
    file(GLOB A_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  endif()
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC bf_flags ${A_LINK})
endfunction()

# bf_test(name SOURCES … LINK … [LABELS …] [TIMEOUT s]): a cmocka program, one ctest entry, in a directory of its own.
function(bf_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LINK;LABELS;ARGS" ${ARGN})
  if(NOT A_SOURCES)
    set(A_SOURCES ${name}.c)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  math(EXPR A_TIMEOUT "${A_TIMEOUT} * ${BF_TEST_PATIENCE}")
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE bf_flags ${A_LINK} cmocka)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/run/${name})
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/run/${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}")
endfunction()

# bf_script_test(name script args…): a shell test; $BF_BUILD, $BF_SOURCE, $CC are set, the working directory is empty and its own:
# tests/lib/in_directory makes it. Workers may run as root, as CI does. Nothing is skipped: what a test needs and the machine has not fails it.
function(bf_script_test name script)
  cmake_parse_arguments(A "" "TIMEOUT" "ARGS;LABELS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  math(EXPR A_TIMEOUT "${A_TIMEOUT} * ${BF_TEST_PATIENCE}")
  add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/lib/in_directory ${CMAKE_BINARY_DIR}/run/${name}
    ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${A_ARGS} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}"
    ENVIRONMENT
    "BF_BUILD=${CMAKE_BINARY_DIR};BF_SOURCE=${PROJECT_SOURCE_DIR};BF_SANITIZE=${BF_SANITIZE};CC=${CMAKE_C_COMPILER};CXX=${CMAKE_CXX_COMPILER};BFORK_WORKER_ALLOW_ROOT_TASKS=yes")
endfunction()

include(${CMAKE_CURRENT_LIST_DIR}/Package.cmake)
