# SPDX-License-Identifier: MPL-2.0
# A project of somebody else's that uses the installed library.
cmake_minimum_required(VERSION 3.16)
project(consumer LANGUAGES C CXX)
find_package(Broadfork 0.1 REQUIRED)

add_executable(square ${SQUARE_SOURCE})
target_link_libraries(square PRIVATE Broadfork::bfork)
add_executable(square_static ${SQUARE_SOURCE})
target_link_libraries(square_static PRIVATE Broadfork::bfork_static)
